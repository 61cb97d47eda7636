/** From the broker's settings to its quotas. */

import type { Clock } from '../../../core/index.ts'
import type { BrokerSettings } from '../../settings.ts'
import { Quotas } from './quotas.ts'

const SECOND_MS = 1000

/**
 * Opens the quotas of a data folder.
 *
 * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if they cannot be read.
 */
export function openQuotas(context: { dataDir: string; settings: BrokerSettings; clock: Clock }): Promise<Quotas> {
  const { dataDir, settings, clock } = context
  const windows = {
    count: settings.number('quota.window.num'),
    windowMs: settings.number('quota.window.size.seconds') * SECOND_MS
  }
  const mutationWindows = {
    count: settings.number('controller.quota.window.num'),
    windowMs: settings.number('controller.quota.window.size.seconds') * SECOND_MS
  }
  return Quotas.open({ dataDir, clock, windows, mutationWindows })
}
