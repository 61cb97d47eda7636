/**
 * The command line: what `bin/comporta.js` runs once it knows that Node is new enough.
 *
 * Each command is a file in `commands/`; its heavy parts are imported only when
 * it runs. Errors end here: one message for people, an exit code for programs.
 */

import { Command, CommanderError } from 'commander'

import { PipelineError, printableText } from '../core/index.ts'
import type { CommandAction } from './commands/action.ts'
import { addBroker } from './commands/broker.ts'
import { addCheck } from './commands/check.ts'
import { addConsole } from './commands/console.ts'
import { addDemo } from './commands/demo.ts'
import { addDispatch } from './commands/dispatch.ts'
import { addEsm } from './commands/esm.ts'
import { addGenerate } from './commands/generate.ts'
import { addIngest } from './commands/ingest.ts'
import { addInit } from './commands/init.ts'
import { addInternalRole } from './commands/internal-role.ts'
import { addLambda } from './commands/lambda.ts'
import { addProduce } from './commands/produce.ts'
import { addUp } from './commands/up.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { addOperations } from './operations/index.ts'
import { packageVersion } from './package-version.ts'
import { endWithReader } from './process/lost-reader.ts'

/** Builds the program; `--help` of every command comes from here. What a command ends with goes to `onExitCode`. */
export function createProgram(onExitCode: (code: number) => void): Command {
  const action: CommandAction = run =>
    async function invoke(this: Command, ...given: unknown[]): Promise<void> {
      // An argument that takes many values comes as a list.
      const names = given.flat().filter(value => typeof value === 'string')
      // Commander has parsed the options that the command itself declared.
      onExitCode(await run(this.optsWithGlobals() as never, ...names))
    }
  const program = new Command('comporta')
    .description('A Kafka event pipeline: produce, batch, call a Lambda function, commit only after success.')
    .version(packageVersion(), '-v, --version')
    .option('-f, --file <path>', 'pipeline file (default: comporta.yaml, or COMPORTA_FILE)')
    .option('--json', 'results as JSON, for programs')
    .option('--log-level <level>', 'debug, info, warn, error or silent (or COMPORTA_LOG_LEVEL)')
    .showHelpAfterError('(see comporta --help)')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
  program.commandsGroup('The pipeline:')
  const roles = [addUp, addBroker, addProduce, addDispatch, addLambda, addEsm, addConsole]
  for (const add of [addDemo, addInit, addCheck, ...roles, addIngest, addGenerate]) add(program, action)
  program.commandsGroup('Operations:')
  addOperations(program, action)
  addInternalRole(program, action)
  for (const command of program.commands) {
    command.exitOverride().showHelpAfterError(`(see comporta ${command.name()} --help)`)
  }
  return program
}

/** Prints an error as one message; the stack only where it is a bug of ours. */
function report(error: unknown, isJson: boolean): void {
  if (PipelineError.is(error)) {
    const text = isJson
      ? JSON.stringify({ error: { code: error.code, message: error.message, ...error.fields } })
      : error.message.split('\n').map(printableText).join('\n')
    process.stderr.write(`${isJson ? '' : 'comporta: '}${text}\n`)
    return
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.stderr.write(`comporta: this is a bug in comporta, please report it:\n${text}\n`)
}

/**
 * Runs the command line.
 *
 * @param args - Arguments after the name of the program.
 * @returns The exit code.
 */
export async function main(args: readonly string[]): Promise<number> {
  endWithReader()
  let exitCode: number = EXIT.ok
  const program = createProgram(code => {
    exitCode = code
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    report(error, args.includes('--json'))
    return exitCodeOf(error)
  }
}
