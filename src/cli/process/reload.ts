/**
 * SIGHUP reads the pipeline file again and hands over what may change while running.
 *
 * A file that cannot be read, or has problems, changes nothing: they are in the
 * log, and the old settings stay. A terminal that is closed sends SIGHUP too:
 * then there is nobody to reload for, and the process stops as on SIGTERM.
 */

import { closeSync, openSync } from 'node:fs'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** What to do on SIGHUP. */
export interface ReloadOptions<T> {
  /** Reads the settings; throws with all their problems. */
  readonly load: () => Promise<T>
  /** Takes them over; says which have changed. Throws if some cannot change; none has then. */
  readonly apply: (loaded: T) => readonly string[] | Promise<readonly string[]>
  readonly logger: Logger
}

/**
 * Begins to listen for SIGHUP.
 *
 * @returns Ends it.
 */
export function reloadOnHangup<T>({ load, apply, logger }: ReloadOptions<T>): () => void {
  // One after the other: two signals in a row must not overtake one another.
  let last: Promise<void> = Promise.resolve()
  const reload = async (): Promise<void> => {
    try {
      const settings = await apply(await load())
      if (settings.length === 0) logger.info({}, 'the pipeline file was read again: nothing has changed')
      else logger.info({ settings }, 'the pipeline file was read again: settings have changed')
    } catch (error) {
      const fields = { code: PipelineError.is(error) ? error.code : undefined }
      logger.error(fields, `the pipeline file was read again, the old settings stay: ${messageOf(error)}`)
    }
  }
  const onSignal = (): void => {
    if (isTerminalGone()) process.kill(process.pid, 'SIGTERM')
    else last = last.then(reload)
  }
  process.on('SIGHUP', onSignal)
  return () => process.off('SIGHUP', onSignal)
}

function isTerminalGone(): boolean {
  if (!process.stdin.isTTY) return false
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return false
  } catch {
    return true
  }
}
