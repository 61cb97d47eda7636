/**
 * The distributor of a pipeline file as an archive for AWS Lambda: the bundle, and the options that the file gives it.
 * The same file gives the same archive, byte for byte.
 */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { PipelineConfig } from '../../config/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import { functionArchive } from './function-archive.ts'
import { writeOutput } from './write-output.ts'

/** What is packed, and where it goes. */
export interface PackageOptions {
  readonly pipeline: PipelineConfig
  /** Name of the function in `lambda.functions`. */
  readonly name: string
  readonly outDir: string
  /** The bundle, as `scripts/build-distributor.ts` makes it. */
  readonly bundleFile: string
}

/** What was written. */
export interface PackagedFunction {
  readonly archive: string
  readonly bytes: number
  /** SHA-256 in Base64: what AWS shows as `CodeSha256`. */
  readonly codeSha256: string
  /** Variables of the environment that the function needs in AWS. */
  readonly variables: readonly string[]
}

/**
 * Writes `<name>.zip` to the folder.
 *
 * @throws PipelineError `ERR_CLI_USAGE` if there is no such function or it is not the built-in one, `ERR_CLI_INPUT` if
 *   the bundle is missing, `ERR_CLI_OUTPUT` if the folder cannot be written.
 */
export async function packageDistributor(options: PackageOptions): Promise<PackagedFunction> {
  const { pipeline, name, outDir, bundleFile } = options
  const settings = distributorOf(pipeline, name)
  const content = new Map([
    ['index.js', await bundle(bundleFile)],
    ['distributor.json', Buffer.from(`${JSON.stringify(settings, undefined, 2)}\n`)]
  ])
  const archive = functionArchive(content)
  const path = join(outDir, `${name}.zip`)
  await writeOutput(path, archive)
  const codeSha256 = createHash('sha256').update(archive).digest('base64')
  return { archive: path, bytes: archive.length, codeSha256, variables: variablesOf(settings) }
}

function distributorOf({ lambda }: PipelineConfig, name: string): object {
  const functions = lambda?.functions ?? {}
  const found = functions[name]
  if (found?.distributor !== undefined) return found.distributor
  if (found !== undefined) {
    const message =
      `${name} is a function of your own: bundle it with the tool you like, for example ` +
      `npx esbuild ${found.handler} --bundle --platform=node --target=node22 --external:@aws-sdk/* --outfile=index.js`
    throw new PipelineError('ERR_CLI_USAGE', message)
  }
  const names = Object.entries(functions).flatMap(([each, { distributor }]) => (distributor === undefined ? [] : each))
  const remedy = names.length === 0 ? 'none has handler: builtin:distributor' : `there is: ${names.join(', ')}`
  throw new PipelineError('ERR_CLI_USAGE', `the pipeline file has no function ${name} to pack; ${remedy}`)
}

async function bundle(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    const message = `cannot read the bundle ${file}: ${messageOf(error)}; in a checkout, npm run build makes it`
    throw new PipelineError('ERR_CLI_INPUT', message, { cause: error })
  }
}

/** Names in `{ env: NAME }`, anywhere in the options. */
function variablesOf(settings: unknown): string[] {
  const names = new Set<string>()
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const members = Object.entries(value)
    const [first] = members
    if (members.length === 1 && first?.[0] === 'env' && typeof first[1] === 'string') names.add(first[1])
    for (const [, member] of members) visit(member)
  }
  visit(settings)
  return [...names].toSorted()
}
