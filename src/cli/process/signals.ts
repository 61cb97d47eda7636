/** What Ctrl-C means to every command that runs until it is told to stop: the first drains, the second ends at once. */

import type { Logger } from '../../telemetry/index.ts'
import { EXIT } from '../exit-codes.ts'

/**
 * Calls back at the first SIGINT or SIGTERM; from then on SIGINT ends the process with 130.
 *
 * @param fields - What the log line says besides, for example the deadline.
 * @returns Stops listening.
 */
export function onFirstSignal(logger: Logger, stop: () => void, fields: Record<string, unknown> = {}): () => void {
  const onSignal = (): void => {
    stop()
    process.once('SIGINT', () => process.exit(EXIT.interrupted))
    logger.info(fields, 'draining; press Ctrl-C again to stop at once')
  }
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  return () => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}
