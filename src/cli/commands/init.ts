/** `comporta init`: a pipeline file that runs as it is. */

import { writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import type { Command } from 'commander'

import { messageOf, PipelineError } from '../../core/index.ts'
import { EXIT } from '../exit-codes.ts'
import type { CommandAction } from './action.ts'

interface InitOptions {
  readonly file?: string
  readonly force?: boolean
  readonly print?: boolean
}

/** Adds the command. */
export function addInit(program: Command, action: CommandAction): void {
  program
    .command('init')
    .summary('write a commented pipeline file')
    .description('Writes comporta.yaml and handler.mjs, the function it calls. Existing files are left alone.')
    .option('--print', 'print the pipeline file instead of writing it')
    .option('--force', 'replace existing files')
    .addHelpText(
      'after',
      '\nExamples:\n  comporta init && comporta check && comporta up\n  comporta init --file pipelines/orders.yaml'
    )
    .action(action(init))
}

async function init(options: InitOptions): Promise<number> {
  const { HANDLER_TEMPLATE, PIPELINE_TEMPLATE } = await import('../../config/index.ts')
  if (options.print === true) {
    process.stdout.write(PIPELINE_TEMPLATE)
    return EXIT.ok
  }
  const pipelineFile = options.file ?? 'comporta.yaml'
  const handlerFile = join(dirname(pipelineFile), 'handler.mjs')
  await writeNew(pipelineFile, PIPELINE_TEMPLATE, options.force === true)
  await writeNew(handlerFile, HANDLER_TEMPLATE, options.force === true)
  process.stdout.write(
    `wrote ${resolve(pipelineFile)}\nwrote ${resolve(handlerFile)}\n\nNext: comporta check, then comporta up\n`
  )
  return EXIT.ok
}

async function writeNew(path: string, text: string, isReplacing: boolean): Promise<void> {
  try {
    await writeFile(path, text, { flag: isReplacing ? 'w' : 'wx' })
  } catch (error) {
    const hint = (error as NodeJS.ErrnoException).code === 'EEXIST' ? ' (--force replaces it)' : ''
    throw new PipelineError('ERR_CLI_USAGE', `cannot write ${path}: ${messageOf(error)}${hint}`, { cause: error })
  }
}
