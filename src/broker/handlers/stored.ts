/** Changes of what the broker keeps in small files of its data folder, when the disk refuses them. */

import { messageOf } from '../../core/index.ts'
import { diskRemedy } from '../log/disk-trouble.ts'
import type { BrokerState } from './broker-state.ts'

/**
 * Makes a change, or says in the log why it could not be stored: then nothing has changed.
 *
 * @param what - What could not be stored, in the plural.
 * @returns What the change answers; `undefined` if it could not be stored.
 */
export async function stored<T>(
  { logger }: BrokerState,
  what: string,
  change: () => Promise<T>
): Promise<T | undefined> {
  try {
    return await change()
  } catch (error) {
    logger.error({ error: messageOf(error) }, `${diskRemedy(error)}; the ${what} stay as they were`)
    return undefined
  }
}
