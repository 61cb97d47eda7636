/** A file that a command leaves behind. */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'

/**
 * Writes a file, with its folder where that is missing.
 *
 * @throws PipelineError `ERR_CLI_OUTPUT`.
 */
export async function writeOutput(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  } catch (error) {
    throw new PipelineError('ERR_CLI_OUTPUT', `cannot write ${path}: ${messageOf(error)}`, { cause: error })
  }
}
