/**
 * The live stream: one for all views on the page, none while the page is hidden. Views keep their last value while
 * the stream is away, and `connection` says since when that is so.
 */

import { effect, type Signal, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import type { LiveProblem, LiveTick, LiveView } from '../../api/live.ts'
import { ApiProblem, asProblem } from './api.ts'
import { KEPT_VIEWS_MAX, liveAddress, retryDelayMs } from './live-state.ts'
import { serverNow } from './server-time.ts'
import { loadSession, session } from './session.ts'

/** What a view last said. */
export interface Live<T> {
  readonly value: T | undefined
  /** When the cluster was looked at. */
  readonly takenAtMs: number | undefined
  readonly problem: ApiProblem | undefined
}

/** How the page and its server stand. */
export interface Connection {
  readonly kind: 'idle' | 'connecting' | 'live' | 'lost'
  /** Time of the last change. */
  readonly sinceMs: number
}

/** The last look at the cluster, as the stream told it. */
export interface LookState {
  readonly tick: LiveTick
  /** Time at which looks began to fail; `null` = they do not. */
  readonly failingSinceMs: number | null
}

/** See `Connection`. */
export const connection = signal<Connection>({ kind: 'idle', sinceMs: serverNow() })
/** See `LookState`; `null` = nothing was said yet. */
export const lastLook = signal<LookState | null>(null)

interface Entry {
  readonly state: Signal<Live<unknown>>
  users: number
}

const nothing: Live<unknown> = { value: undefined, takenAtMs: undefined, problem: undefined }
const nothingSignal = signal(nothing)
const entries = new Map<string, Entry>()
let source: EventSource | undefined
let openAddress: string | undefined
let timer: ReturnType<typeof setTimeout> | undefined
let attempt = 0

/**
 * A view that follows the cluster. `of` is a path of `GET` with its query; `null` = none now. The last value stays
 * while a new one is on its way.
 */
export function useLive<T>(of: string | null): Live<T> {
  useEffect(() => (of === null ? undefined : subscribe(of)), [of])
  const state = of === null ? nothingSignal : entryOf(of).state
  return state.value as Live<T> // checked boundary: the server's types are this page's types
}

/** Asks anew at once, for example after a change: the stream sends every view again when it opens. */
export function refreshLive(): void {
  attempt = 0
  openAddress = undefined
  schedule(0)
}

function subscribe(of: string): () => void {
  const entry = entryOf(of)
  entry.users++
  schedule(25)
  return () => {
    entry.users--
    schedule(25)
  }
}

function entryOf(of: string): Entry {
  const known = entries.get(of)
  if (known !== undefined) return known
  for (const [key, entry] of entries) {
    if (entries.size < KEPT_VIEWS_MAX) break
    if (entry.users === 0) entries.delete(key)
  }
  const entry: Entry = { state: signal(nothing), users: 0 }
  entries.set(of, entry)
  return entry
}

function schedule(delayMs: number): void {
  clearTimeout(timer)
  timer = setTimeout(reconcile, delayMs)
}

function reconcile(): void {
  const wanted = [...entries].filter(([, entry]) => entry.users > 0).map(([of]) => of)
  const address = document.hidden ? undefined : liveAddress(wanted)
  if (address === openAddress && source !== undefined && source.readyState !== EventSource.CLOSED) return
  source?.close()
  source = undefined
  openAddress = address
  if (address === undefined) {
    setConnection('idle')
    return
  }
  if (connection.peek().kind !== 'lost' && connection.peek().kind !== 'live') setConnection('connecting')
  listen(new EventSource(address, { withCredentials: true }))
}

function listen(stream: EventSource): void {
  source = stream
  stream.addEventListener('open', () => {
    attempt = 0
    setConnection('live')
  })
  stream.addEventListener('view', event => {
    const view = JSON.parse(event.data) as LiveView // checked boundary: written by this console's server
    entryOf(view.of).state.value = { value: view.value, takenAtMs: view.takenAtMs, problem: undefined }
  })
  stream.addEventListener('problem', event => {
    const problem = JSON.parse(event.data) as LiveProblem // as above
    const { state } = entryOf(problem.of)
    state.value = { ...state.peek(), problem: new ApiProblem(problem.code, problem.message, 0) }
  })
  stream.addEventListener('tick', event => {
    const tick = JSON.parse(event.data) as LiveTick // as above
    const since = lastLook.peek()?.failingSinceMs ?? null
    lastLook.value = { tick, failingSinceMs: tick.problem === null ? null : (since ?? serverNow()) }
  })
  stream.addEventListener('error', () => onLost(stream))
}

function onLost(stream: EventSource): void {
  if (stream !== source) return
  stream.close()
  source = undefined
  openAddress = undefined
  setConnection('lost')
  schedule(retryDelayMs(attempt++))
  // A stream does not tell why it was refused: a login that ran out leads to the login page, a bad view to its problem.
  void loadSession().then(
    () => (attempt > 1 ? explain() : undefined),
    () => undefined
  )
}

/** Asks for each view by itself, because one that is refused may be why the stream does not open. */
async function explain(): Promise<void> {
  for (const [of, entry] of entries) {
    if (entry.users === 0) continue
    const answer = await fetch(of, { credentials: 'same-origin' }).catch(asProblem)
    if (answer instanceof ApiProblem || answer.ok) continue
    const body: unknown = await answer.json().catch(() => undefined)
    const message = typeof body === 'object' && body !== null && 'message' in body ? String(body.message) : ''
    const code = typeof body === 'object' && body !== null && 'code' in body ? String(body.code) : 'ERR_PAGE_ANSWER'
    entry.state.value = { ...entry.state.peek(), problem: new ApiProblem(code, message, answer.status) }
  }
}

function setConnection(kind: Connection['kind']): void {
  if (connection.peek().kind !== kind) connection.value = { kind, sinceMs: serverNow() }
}

/**
 * Closes the stream while the page is hidden, and opens it again when it is seen or the network is back. What one user
 * saw is forgotten before another logs in, who may see less.
 */
export function watchVisibility(): void {
  effect(() => {
    if (session.value?.user !== null && session.value !== null) return
    entries.clear()
    lastLook.value = null
    schedule(0)
  })
  document.addEventListener('visibilitychange', () => schedule(document.hidden ? 1_000 : 0))
  window.addEventListener('online', refreshLive)
}
