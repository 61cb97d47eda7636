/** Records of a query, page by page; a search goes on by itself until it has found something to show. */

import { useEffect, useRef, useState } from 'preact/hooks'

import type { RecordsAnswer, ShownRecord } from '../../../api/records.ts'
import { type ApiProblem, asProblem, getJson } from '../../base/api.ts'
import { apiQuery, isWhole, type RecordsPageQuery } from './query.ts'

/** What has been read so far. */
export interface RecordsState {
  readonly records: readonly ShownRecord[]
  readonly searched: number
  /** Where it goes on; `null` = all was looked at. */
  readonly next: string | null
  readonly order: RecordsAnswer['order']
  readonly troubles: readonly string[]
  readonly isReading: boolean
  readonly problem: ApiProblem | undefined
}

const nothing: RecordsState = {
  records: [],
  searched: 0,
  next: null,
  order: 'newestFirst',
  troubles: [],
  isReading: false,
  problem: undefined
}

const PAGE = 100
/** Requests that a search makes by itself, of some seconds each. */
const ROUNDS_MAX = 20
/** Records that the page holds. */
const HELD_MAX = 5000

/** See the module. `turn` begins anew; `null` = nothing is read now. */
export function useRecords(
  query: RecordsPageQuery | null,
  turn: number
): RecordsState & { readonly goOn: () => void; readonly stop: () => void } {
  const [state, setState] = useState<RecordsState>(nothing)
  const cancel = useRef(new AbortController())
  const address = query !== null && isWhole(query) ? apiQuery(query, { limit: String(PAGE) }) : null
  const isSearch = query !== null && query.find !== ''
  const run = async (before: RecordsState): Promise<void> => {
    if (address === null) return
    cancel.current.abort()
    const mine = new AbortController()
    cancel.current = mine
    let now: RecordsState = { ...before, isReading: true, problem: undefined }
    setState(now)
    const wanted = Math.min(HELD_MAX, now.records.length + PAGE)
    for (let round = 0; round < (isSearch ? ROUNDS_MAX : 1); round += 1) {
      const next = now.next === null ? '' : `&next=${encodeURIComponent(now.next)}`
      try {
        const answer = await getJson<RecordsAnswer>(`/api/records?${address}${next}`, mine.signal)
        now = {
          ...now,
          records: [...now.records, ...answer.records],
          searched: now.searched + answer.searched,
          next: answer.next,
          order: answer.order,
          troubles: [...new Set([...now.troubles, ...answer.troubles])].slice(0, 20)
        }
      } catch (error) {
        if (!mine.signal.aborted) setState({ ...now, isReading: false, problem: asProblem(error) })
        return
      }
      if (mine.signal.aborted) return
      setState(now)
      if (now.next === null || now.records.length >= wanted) break
    }
    setState({ ...now, isReading: false })
  }
  useEffect(() => {
    if (address === null) setState(nothing)
    else void run(nothing)
    return () => cancel.current.abort()
  }, [address, turn])
  return {
    ...state,
    goOn: () => void run(state),
    stop: () => {
      cancel.current.abort()
      setState(before => ({ ...before, isReading: false }))
    }
  }
}
