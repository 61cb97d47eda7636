/** Whether what the page shows is of then, and not of now: nothing is then shown as well. */

import { computed } from '@preact/signals'

import type { HealthLevel } from '../../api/common.ts'
import { now } from './format.ts'
import { connection, lastLook } from './live.ts'
import { healthOfThen, isLookLate } from './look-age.ts'

/** A stream that is back sooner is no news, in milliseconds. */
export const LOST_AFTER_MS = 1_500

/** See the module. */
export const areNumbersOld = computed((): boolean => {
  const { kind, sinceMs } = connection.value
  if (kind === 'lost' && now.value - sinceMs > LOST_AFTER_MS) return true
  const look = lastLook.value
  return look !== null && (look.failingSinceMs !== null || isLookLate(look.tick, now.value))
})

/** A level as it can be shown now. */
export function healthNow(level: HealthLevel): HealthLevel {
  return areNumbersOld.value ? healthOfThen(level) : level
}
