/** The state of a migration on disk: written whole or not at all, before each step that it stands for. */

import fs from 'node:fs/promises'
import { dirname } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'
import { MIGRATION_STEPS, type MigrationState } from './migration.ts'

const FORMAT = 'comporta-migration'

/** The file of one migration. */
export class MigrationFile {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /**
   * The state; `undefined` if there is no migration.
   *
   * @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if the file is no state, `ERR_OPS_UNDO_STORE` if it cannot be read.
   */
  async read(): Promise<MigrationState | undefined> {
    let text: string
    try {
      text = await fs.readFile(this.path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw new PipelineError('ERR_OPS_UNDO_STORE', `${this.path}: ${messageOf(error)}`, { cause: error })
    }
    return readMigrationState(text, this.path)
  }

  /** @throws PipelineError `ERR_OPS_UNDO_STORE` if it cannot be written. */
  async write(state: MigrationState): Promise<void> {
    const fresh = `${this.path}.new`
    try {
      await fs.mkdir(dirname(this.path), { recursive: true })
      const file = await fs.open(fresh, 'w', 0o600)
      try {
        await file.writeFile(`${JSON.stringify({ format: FORMAT, version: 1, ...state })}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await fs.rename(fresh, this.path)
    } catch (error) {
      throw new PipelineError('ERR_OPS_UNDO_STORE', `${this.path}: ${messageOf(error)}`, { cause: error })
    }
  }

  /** Forgets the migration. Nothing to forget is no error. */
  async remove(): Promise<void> {
    await fs.rm(this.path, { force: true })
  }
}

/** @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if the text is no state of a migration. */
export function readMigrationState(text: string, path: string): MigrationState {
  const damaged = (why: string): PipelineError =>
    new PipelineError('ERR_OPS_UNDO_DAMAGED', `${path} is no state of a migration: ${why}`)
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (error) {
    throw damaged(messageOf(error))
  }
  if (typeof found !== 'object' || found === null || !('format' in found) || found.format !== FORMAT)
    throw damaged(`it has no format ${FORMAT}`)
  // Written by `write`; what decides about Kafka is checked.
  const state = found as unknown as MigrationState
  if (!Object.hasOwn(MIGRATION_STEPS, state.phase)) throw damaged(`there is no phase ${String(state.phase)}`)
  const areOffsets = [...(state.ends ?? []), ...(state.fence ?? [])].every(text => /^\d{1,19}$/.test(text))
  if (!Array.isArray(state.ends) || !areOffsets) throw damaged('its offsets are none')
  return state
}
