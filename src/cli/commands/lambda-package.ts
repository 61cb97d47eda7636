/** `comporta lambda package`: the distributor of the pipeline file, ready for AWS Lambda. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Command } from 'commander'

import { type CommonOptions, loadPipeline, needSection, pipelinePath } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { CommandAction } from './action.ts'

/** As far from the sources as from the published files. */
const BUNDLE_FILE = join(import.meta.dirname, '../../../dist/function/distributor.cjs')

interface LambdaPackageOptions extends CommonOptions {
  readonly out: string
}

/** Adds the command below `lambda`. */
export function addLambdaPackage(lambda: Command, action: CommandAction): void {
  lambda
    .command('package')
    .argument('[function]', 'name of a function with handler builtin:distributor', 'distributor')
    .summary('write the distributor as an archive for AWS Lambda')
    .description(
      'Writes <function>.zip (the distributor in one file, with its options of the pipeline file) and ' +
        '<function>.policy.json (the rights that it needs). The same pipeline file gives the same archive.'
    )
    .option('--out <folder>', 'folder to write to', 'build')
    .addHelpText(
      'after',
      '\nExamples:\n  comporta lambda package\n' +
        '  comporta lambda package distributor --out build --json\n' +
        '  aws lambda create-function --function-name distributor --runtime nodejs24.x --handler index.handler \\\n' +
        '    --zip-file fileb://build/distributor.zip --timeout 30 --memory-size 512 --role <ARN of a role>'
    )
    .action(action(lambdaPackage))
}

async function lambdaPackage(options: LambdaPackageOptions, name = 'distributor'): Promise<number> {
  const pipeline = await loadPipeline(options)
  needSection(pipeline, 'lambda', options)
  const { packageDistributor } = await import('../package/package-distributor.ts')
  const { writePolicy } = await import('../package/function-policy.ts')
  const { variablesIn } = await import('../package/section-variables.ts')
  const made = await packageDistributor({ pipeline, name, outDir: options.out, bundleFile: BUNDLE_FILE })
  const policy = await writePolicy(pipeline, name, join(options.out, `${name}.policy.json`))
  const text = await readFile(pipelinePath(options), 'utf8')
  const fixed = variablesIn(text, ['lambda', 'functions', name, 'distributor'])
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ ...made, policy, fixedVariables: fixed })}\n`)
    return EXIT.ok
  }
  process.stdout.write(`wrote ${made.archive} (${made.bytes} bytes, CodeSha256 ${made.codeSha256})\nwrote ${policy}\n`)
  if (made.variables.length > 0) {
    process.stdout.write(`Set on the function in AWS: ${made.variables.join(', ')}\n`)
  }
  if (fixed.length > 0) {
    process.stderr.write(
      `comporta: the values of ${fixed.join(', ')} are now part of the archive; ` +
        'for a secret, write { env: NAME } in place of ${NAME}\n'
    )
  }
  return EXIT.ok
}
