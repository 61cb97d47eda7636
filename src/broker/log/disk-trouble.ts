/**
 * Says once what is wrong with the disk and what to do about it, not once for
 * each of thousands of refused appends, and says once when it is over.
 *
 * A disk that is full or read-only is no reason to stop: appends are refused
 * with KAFKA_STORAGE_ERROR as long as it lasts, and go on afterwards.
 */

import { messageOf, PipelineError } from '../../core/index.ts'
import type { Logger, LogFields } from '../../telemetry/index.ts'
import { systemErrorCode } from './disk.ts'

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk of the data folder is full: free space, or lower the retention of topics',
  EDQUOT: 'the disk quota of the data folder is used up: raise it, or lower the retention of topics',
  EROFS: 'the disk of the data folder is read-only: look for errors of the disk, and mount it writable again',
  EACCES: 'the data folder may not be written: give the user of this process the right to',
  EPERM: 'the data folder may not be written: give the user of this process the right to',
  EMFILE: 'this process has too many open files: raise its limit (ulimit -n)',
  ENFILE: 'the machine has too many open files: raise its limit'
}
const REMEDY_OF_OTHERS = 'the disk of the data folder fails: look for errors of the disk'

/** Whether the disk refuses now but has lost nothing: the same call may work later. */
export function mayPass(error: unknown): boolean {
  return Object.hasOwn(REMEDIES, systemErrorCode(error))
}

/** What to do about an error of the disk, as a sentence without its end. */
export function diskRemedy(error: unknown): string {
  return REMEDIES[systemErrorCode(error)] ?? REMEDY_OF_OTHERS
}

/** Why a broker cannot start on its data folder: the system's error, and what to do about it. */
export function dataFolderFailed(folder: string, cause: unknown): PipelineError {
  const isNoFolder = ['ENOTDIR', 'EEXIST'].includes(systemErrorCode(cause))
  const remedy = isNoFolder ? 'there is a file in its place: name a folder' : mayPass(cause) ? diskRemedy(cause) : ''
  const text = `the data folder ${folder} cannot be opened: ${messageOf(cause)}${remedy === '' ? '' : `; ${remedy}`}`
  return new PipelineError('ERR_BROKER_DATA_DIR_FAILED', text, { cause, fields: { folder } })
}

/** The state of one broker's disk, as far as its writers have met it. */
export class DiskTrouble {
  readonly #logger: Logger
  #errno: string | undefined
  #refusedCount = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Whether writes have failed and none has worked since. */
  get isOn(): boolean {
    return this.#errno !== undefined
  }

  /**
   * Notes that something could not be written.
   *
   * @param what - What that means, as a sentence without its end.
   */
  note(error: unknown, what: string, fields: LogFields = {}): void {
    const errno = systemErrorCode(error)
    this.#refusedCount += 1
    if (this.#errno === errno) return
    this.#errno = errno
    this.#logger.error({ ...fields, errno, error: messageOf(error) }, `${diskRemedy(error)}; ${what}`)
  }

  /** Notes that a write has worked. */
  over(): void {
    if (this.#errno === undefined) return
    const fields = { errno: this.#errno, refusedCount: this.#refusedCount }
    this.#errno = undefined
    this.#refusedCount = 0
    this.#logger.info(fields, 'the disk of the data folder takes writes again')
  }
}
