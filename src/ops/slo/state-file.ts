/**
 * Where a tracker's time survives a restart: one JSON file of bounded size, replaced as a whole.
 *
 * A file that cannot be read is an error, not an empty start: a budget that is
 * silently whole again is worse than a watch that does not start.
 */

import { rename, readFile, stat, writeFile } from 'node:fs/promises'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { WrittenBuckets } from './bucket-ring.ts'
import type { SloState, WrittenObjective } from './tracker.ts'

/** 50 objectives of 90 days are about 6 MiB. */
const BYTES_MAX = 16_777_216
const VERSION = 1

/**
 * Reads it; `undefined` if there is none yet.
 *
 * @throws PipelineError `ERR_OPS_SLO_STATE` if it cannot be read, or is not such a file.
 */
export async function readSloState(path: string): Promise<SloState | undefined> {
  const text = await textOf(path)
  if (text === undefined) return undefined
  try {
    const state = stateOf(JSON.parse(text))
    if (state !== undefined) return state
  } catch {
    // Not JSON: the same as JSON of another shape.
  }
  throw new PipelineError('ERR_OPS_SLO_STATE', `${path} is not a state file of comporta slo, or it is damaged`)
}

/**
 * Writes it: first beside it, then in its place.
 *
 * @throws PipelineError `ERR_OPS_SLO_STATE` if the disk refuses.
 */
export async function writeSloState(path: string, state: SloState): Promise<void> {
  const beside = `${path}.new`
  try {
    await writeFile(beside, `${JSON.stringify({ version: VERSION, ...state })}\n`, { mode: 0o600 })
    await rename(beside, path)
  } catch (error) {
    throw new PipelineError('ERR_OPS_SLO_STATE', `${path} cannot be written: ${messageOf(error)}`, { cause: error })
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path)
    if (size <= BYTES_MAX) return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return undefined
    throw new PipelineError('ERR_OPS_SLO_STATE', `${path} cannot be read: ${messageOf(error)}`, { cause: error })
  }
  throw new PipelineError('ERR_OPS_SLO_STATE', `${path} has more than ${BYTES_MAX} bytes: it is not a state file`)
}

function stateOf(value: unknown): SloState | undefined {
  if (!isObject(value) || value['version'] !== VERSION || !isObject(value['objectives'])) return undefined
  const entries: [string, WrittenObjective][] = []
  for (const [name, written] of Object.entries(value['objectives'])) {
    if (!isObject(written)) return undefined
    const { lastMs, minutes, hours } = written
    if (!isTime(lastMs) || !isBuckets(minutes) || !isBuckets(hours)) return undefined
    entries.push([name, { lastMs, minutes, hours }])
  }
  return { objectives: Object.fromEntries(entries) }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function isBuckets(value: unknown): value is WrittenBuckets {
  return (
    Array.isArray(value) &&
    value.every(each => Array.isArray(each) && each.length === 4 && each.every(isTime) && Number.isSafeInteger(each[0]))
  )
}
