/** Dead letters that are named one by one: which part of each partition has them, and which of its records they are. */

import { PipelineError } from '../../core/index.ts'
import type { RecordRange } from '../records/record-range.ts'
import { LETTERS_MAX, type RedriveRequest } from './redrive-types.ts'

/** Says whether a record is one of those that are named. */
export type LetterTest = (partition: number, offset: bigint) => boolean

/**
 * The test for the named ones; all are, where none is named.
 *
 * @throws PipelineError `ERR_OPS_INVALID` if there are too many.
 */
export function letterTest({ letters }: Pick<RedriveRequest, 'letters'>): LetterTest {
  if (letters === undefined) return () => true
  if (letters.length > LETTERS_MAX) {
    const hint = 'choose them by class, topic or time'
    throw new PipelineError(
      'ERR_OPS_INVALID',
      `${letters.length} dead letters are named, ${LETTERS_MAX} may be: ${hint}`
    )
  }
  const named = new Set(letters.map(({ partition, offset }) => `${partition}@${offset}`))
  return (partition, offset) => named.has(`${partition}@${offset}`)
}

/** Ranges without what lies before the first and behind the last that is named. */
export function rangesOfLetters(
  ranges: readonly RecordRange[],
  { letters }: Pick<RedriveRequest, 'letters'>
): readonly RecordRange[] {
  if (letters === undefined) return ranges
  return ranges.flatMap(range => {
    let from = range.to ?? range.endOffset
    let to = range.from
    for (const { partition, offset } of letters) {
      if (partition !== range.partition || offset < range.from || offset >= (range.to ?? range.endOffset)) continue
      if (offset < from) from = offset
      if (offset >= to) to = offset + 1n
    }
    return to > from ? [{ ...range, from, to }] : []
  })
}
