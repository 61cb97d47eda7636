/** Options that may be given again. */

import { InvalidArgumentError } from 'commander'

/** Collects texts. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

/** Collects partitions. */
export function collectPartition(text: string, before: readonly number[] = []): readonly number[] {
  const partition = Number(text)
  if (/^\d{1,9}$/.test(text) && Number.isInteger(partition)) return [...before, partition]
  throw new InvalidArgumentError('A partition is a whole number from 0 on.')
}
