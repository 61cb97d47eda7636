/**
 * SIGHUP reads the pipeline file again and hands over what may change while running.
 *
 * A file that cannot be read, or has problems, changes nothing: they are in the
 * log, and the old settings stay.
 */

import { messageOf, PipelineError } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { onHangup } from './hangup.ts'

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
  return onHangup(() => {
    last = last.then(reload)
  })
}
