/** New records as they come, the newest first; while it is paused they wait, as many as are shown. */

import { useEffect, useRef, useState } from 'preact/hooks'

import type { ShownRecord, TailBatch } from '../../../api/records.ts'
import { ApiProblem } from '../../base/api.ts'

/** What has come. */
export interface TailState {
  readonly records: readonly ShownRecord[]
  /** Came while it was paused. */
  readonly waiting: number
  readonly dropped: number
  readonly searched: number
  readonly isConnected: boolean
  readonly problem: ApiProblem | undefined
}

const HELD_MAX = 500
const nothing: TailState = {
  records: [],
  waiting: 0,
  dropped: 0,
  searched: 0,
  isConnected: false,
  problem: undefined
}

/** See the module. `address` is the query of the server; `null` = none. */
export function useTail(address: string | null, isPaused: boolean): TailState {
  const [state, setState] = useState<TailState>(nothing)
  const waiting = useRef<ShownRecord[]>([])
  const paused = useRef(isPaused)
  paused.current = isPaused
  useEffect(() => {
    setState(nothing)
    waiting.current = []
    if (address === null) return
    const stream = new EventSource(`/api/records/tail?${address}`, { withCredentials: true })
    const set = (change: Partial<TailState>): void => setState(before => ({ ...before, ...change }))
    stream.addEventListener('open', () => set({ isConnected: true, problem: undefined }))
    stream.addEventListener('error', () => set({ isConnected: false }))
    // The server ends a stream that was open for long: the browser would open it again for ever.
    stream.addEventListener('end', () => {
      stream.close()
      set({ isConnected: false })
    })
    stream.addEventListener('problem', event => {
      const { code, message } = JSON.parse(event.data) as { code: string; message: string } // written by the server
      stream.close()
      set({ isConnected: false, problem: new ApiProblem(code, message, 0) })
    })
    stream.addEventListener('records', event => {
      const batch = JSON.parse(event.data) as TailBatch // written by this console's server
      waiting.current = [...batch.records.toReversed(), ...waiting.current].slice(0, HELD_MAX)
      setState(before => taken(before, batch, { waiting, isPaused: paused.current }))
    })
    return () => stream.close()
  }, [address])
  useEffect(() => {
    if (isPaused) return
    setState(before => taken(before, { records: [], dropped: 0, searched: before.searched }, { waiting, isPaused }))
  }, [isPaused])
  return state
}

function taken(
  before: TailState,
  { dropped, searched }: TailBatch,
  { waiting, isPaused }: { readonly waiting: { current: ShownRecord[] }; readonly isPaused: boolean }
): TailState {
  const counted = { ...before, dropped: before.dropped + dropped, searched }
  if (isPaused) return { ...counted, waiting: waiting.current.length }
  const records = [...waiting.current, ...before.records].slice(0, HELD_MAX)
  waiting.current = []
  return { ...counted, records, waiting: 0 }
}
