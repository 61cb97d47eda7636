/** A small JSON file that outlives the process: written beside itself and renamed, so that a kill leaves it whole. */

import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'

/**
 * Reads it.
 *
 * @returns `undefined` if there is none.
 * @throws PipelineError `ERR_OPS_SCALE_STATE` if it cannot be read, or is damaged.
 */
export async function readState<T>(path: string, check: (value: unknown) => value is T): Promise<T | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return undefined
    throw new PipelineError('ERR_OPS_SCALE_STATE', `${path}: ${messageOf(error)}`, { cause: error })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (check(value)) return value
  throw new PipelineError('ERR_OPS_SCALE_STATE', `${path} is damaged: delete it to begin anew`)
}

/** @throws PipelineError `ERR_OPS_SCALE_STATE` if it cannot be written. */
export async function writeState(path: string, value: unknown): Promise<void> {
  const fresh = `${path}.tmp`
  try {
    await mkdir(dirname(path), { recursive: true })
    const file = await open(fresh, 'w', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(value)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, path)
  } catch (error) {
    throw new PipelineError('ERR_OPS_SCALE_STATE', `${path}: ${messageOf(error)}`, { cause: error })
  }
}
