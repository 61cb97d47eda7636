/** The live stream: only what differs, the newest to a slow reader, an end to everything. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { turn, VirtualClock } from '../../src/core/index.ts'
import { type LiveReader, type LiveSink, LiveStreams, VIEWS_MAX } from '../../src/console/server/live.ts'
import type { Caller, View } from '../../src/console/server/server-types.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { stillWorld } from '../support/still-world.ts'

/** A reader that takes as much as it is told to. */
class Sink implements LiveSink {
  readonly events: { kind: string; of: string; value: unknown; code: unknown }[] = []
  keepAlives = 0
  isSlow = false
  isEnded = false
  #drained: (() => void) | undefined

  write(text: string): boolean {
    assert.equal(this.#drained, undefined, 'nothing more is written to a reader that has not taken the last')
    const [, kind = '', data = '{}'] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text) ?? []
    if (kind === '') this.keepAlives += 1
    else {
      const { of = '', value, code } = JSON.parse(data) as { of?: string; value?: unknown; code?: unknown }
      this.events.push({ kind, of, value, code })
    }
    return !this.isSlow
  }

  onDrained(drained: () => void): void {
    this.#drained = drained
  }

  drain(): void {
    const drained = this.#drained
    this.#drained = undefined
    drained?.()
  }

  end(): void {
    this.isEnded = true
  }

  /** Kinds and views since the last call. */
  taken(): string[] {
    return this.events.splice(0).map(({ kind, of, value, code }) => {
      return [kind, of, value === undefined ? '' : JSON.stringify(value), code].filter(Boolean).join(' ')
    })
  }
}

interface Setup {
  readonly clock: VirtualClock
  readonly world: ReturnType<typeof stillWorld>
  readonly streams: LiveStreams
  /** What `/api/a` says next. */
  readonly state: { value: unknown; reads: number }
  readonly open: (sink: Sink, ofs?: readonly string[], reader?: Partial<LiveReader>) => void
  /** Lets reactions run. */
  readonly settle: () => Promise<void>
}

const caller: Caller = { user: 'vera', role: 'viewer', isMasked: false, isExportAllowed: true, sessionId: 's1' }

function setUp(limits: { streamsMax?: number; streamsPerSession?: number } = {}): Setup {
  const clock = new VirtualClock()
  const world = stillWorld()
  const state = { value: 1 as unknown, reads: 0 }
  const read = (): unknown => {
    state.reads += 1
    if (state.value instanceof Error) throw state.value
    return state.value
  }
  const list: View[] = [
    { path: '/api/a', read },
    { path: '/api/echo', read: query => query.get('q') },
    { path: '/api/secret', needs: 'operator', read: () => 'hidden' },
    { path: '/api/quick', everyMs: 500, read }
  ]
  const views = new Map(list.map(view => [view.path, view]))
  const all = { streamsMax: 3, streamsPerSession: 2, ...limits }
  const streams = new LiveStreams({ world, views, clock, logger: silentLogger, ...all })
  return {
    clock,
    world,
    streams,
    state,
    open: (sink, ofs = ['/api/a'], reader = {}) => {
      streams.open(streams.admit(ofs, reader.caller ?? caller), { caller, isAlive: () => true, ...reader }, sink)
    },
    settle: async () => {
      await clock.advance(0)
      for (let count = 0; count < 10; count += 1) await turn()
    }
  }
}

test('a view is sent at once, and again only when it differs; how fresh it is makes no difference', async () => {
  const { world, state, open, settle } = setUp()
  const sink = new Sink()
  state.value = { lag: 5, freshness: { takenAtMs: 1, problems: [] } }
  open(sink)
  await settle()
  assert.deepEqual(sink.taken(), [`view /api/a ${JSON.stringify(state.value)}`, 'tick'])
  assert.equal(world.viewers, 1)

  state.value = { lag: 5, freshness: { takenAtMs: 2, problems: [] } }
  world.look()
  await settle()
  assert.deepEqual(sink.taken(), ['tick'])

  state.value = { lag: 5, freshness: { takenAtMs: 3, problems: ['broker 2 is away'] } }
  world.look()
  await settle()
  assert.equal(sink.taken()[0], `view /api/a ${JSON.stringify(state.value)}`)
})

test('a view that fails, is not there or is not for this role says so, and the others go on', async () => {
  const { state, world, open, settle } = setUp()
  const sink = new Sink()
  open(sink, ['/api/echo?q=%22', '/api/none', '//evil/api/a', '/api/secret', '/api/a'])
  await settle()
  assert.deepEqual(sink.taken(), [
    'view /api/echo?q=%22 "\\""',
    'problem /api/none ERR_CONSOLE_NOT_FOUND',
    'problem //evil/api/a ERR_CONSOLE_NOT_FOUND',
    'problem /api/secret ERR_CONSOLE_FORBIDDEN',
    'view /api/a 1',
    'tick'
  ])
  state.value = new Error('inside')
  world.look()
  await settle()
  assert.deepEqual(sink.taken(), ['problem /api/a ERR_CONSOLE_INTERNAL', 'tick'])
  state.value = 1
  world.look()
  await settle()
  assert.deepEqual(sink.taken(), ['view /api/a 1', 'tick'])
})

// Symptom: the console answered nobody for seconds after each look. Cause: every view of every stream was read without
// a pause. Reach: a viewer with many pages of long lists.
test('between two views of any streams everybody else has a turn', async () => {
  const { state, open } = setUp({ streamsMax: 9, streamsPerSession: 9 })
  const each: number[] = []
  const sinks = Array.from({ length: 8 }, () => new Sink())
  for (const sink of sinks) open(sink, ['/api/a', '/api/a?2', '/api/a?3'])
  for (let before = 0; state.reads < 24; before = state.reads) {
    await new Promise(resolve => setImmediate(resolve))
    each.push(state.reads - before)
  }
  assert.ok(Math.max(...each) <= 2, each.join(' '))
})

test('a slow reader is sent nothing until it has taken the last, then the newest of each view', async () => {
  const { state, world, open, settle } = setUp()
  const sink = new Sink()
  sink.isSlow = true
  open(sink, ['/api/a', '/api/echo?q=1'])
  await settle()
  assert.deepEqual(sink.taken(), ['view /api/a 1'])
  for (state.value = 2; (state.value as number) < 500; (state.value as number) += 1) {
    world.look()
    await settle()
  }
  const { reads } = state
  assert.equal(reads, 1, 'what nobody takes is not even looked up')
  sink.isSlow = false
  sink.drain()
  await settle()
  assert.deepEqual(sink.taken(), ['view /api/a 500', 'view /api/echo?q=1 "1"', 'tick'])
})

test('a reader that takes nothing for a minute is given up; an idle one is kept awake', async () => {
  const { clock, world, streams, open, settle } = setUp()
  const [stuck, idle] = [new Sink(), new Sink()]
  stuck.isSlow = true
  open(stuck)
  open(idle)
  await settle()
  await clock.advance(50_000)
  assert.deepEqual([stuck.isEnded, idle.keepAlives], [false, 3])
  await clock.advance(30_000)
  assert.deepEqual([stuck.isEnded, idle.isEnded, streams.count, world.viewers], [true, false, 1, 1])
})

test('a stream ends with its login, and with the console', async () => {
  const { clock, world, streams, open, settle } = setUp()
  const [expired, left, last] = [new Sink(), new Sink(), new Sink()]
  let isAlive = true
  open(expired, ['/api/a'], { isAlive: () => isAlive })
  open(left, ['/api/a'], { caller: { ...caller, sessionId: 's2' } })
  open(last, ['/api/a'], { caller: { ...caller, sessionId: 's3' } })
  await settle()
  isAlive = false
  world.look()
  await settle()
  streams.endOf('s2')
  assert.deepEqual([expired.isEnded, left.isEnded, last.isEnded], [true, true, false])
  streams.close()
  assert.equal(last.isEnded, true)
  assert.deepEqual([streams.count, world.viewers, clock.pendingCount], [0, 0, 0])
})

test('a view that asks for it is looked at between looks at the cluster', async () => {
  const { clock, state, open, settle } = setUp()
  const sink = new Sink()
  open(sink, ['/api/quick', '/api/echo?q=1'])
  await settle()
  sink.taken()
  state.value = 2
  await clock.advance(1000)
  await settle()
  assert.deepEqual(sink.taken(), ['view /api/quick 2'])
})

test('streams are as many as the limits say, and each has a bounded number of views', async () => {
  const { streams, open } = setUp()
  assert.throws(() => streams.admit([], caller), { code: 'ERR_CONSOLE_REQUEST' })
  const many = Array.from({ length: VIEWS_MAX + 1 }, (_, index) => `/api/echo?q=${index}`)
  assert.throws(() => streams.admit(many, caller), { code: 'ERR_CONSOLE_REQUEST' })
  assert.throws(() => streams.admit([`/api/a?${'x'.repeat(3000)}`], caller), { code: 'ERR_CONSOLE_REQUEST' })
  assert.deepEqual(streams.admit(['/api/a', '/api/a'], caller), ['/api/a'])
  open(new Sink())
  open(new Sink())
  assert.throws(() => streams.admit(['/api/a'], caller), { code: 'ERR_CONSOLE_BUSY' })
  open(new Sink(), ['/api/a'], { caller: { ...caller, sessionId: 's2' } })
  const third = { ...caller, sessionId: 's3' }
  assert.throws(() => streams.admit(['/api/a'], third), { code: 'ERR_CONSOLE_BUSY' })
})
