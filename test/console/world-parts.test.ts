import assert from 'node:assert/strict'
import test from 'node:test'

import { operationsDefaults } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'
import { GroupJudge, worstOf } from '../../src/console/world/group-health.ts'
import { History, LONG, SHORT } from '../../src/console/world/history.ts'
import { HistogramBook } from '../../src/console/world/histograms.ts'
import { shortNumber } from '../../src/console/world/numbers.ts'
import { inOrder, orderBy } from '../../src/console/world/order.ts'
import { pipelineNames, retryDelayOf, roleOfTopic } from '../../src/console/world/pipeline-names.ts'
import { askedPage, textOf, wordsOf } from '../../src/console/world/query.ts'
import { RebalanceBook } from '../../src/console/world/rebalance-book.ts'
import { restingReplaysOf } from '../../src/console/world/resting-replays.ts'
import { RingTable } from '../../src/console/world/ring-table.ts'
import type { InstanceLook, MetricSample } from '../../src/console/flow/instance-types.ts'
import type { GroupLag, ScannedGroup } from '../../src/ops/index.ts'
import { groupLag, member, partitionLag, scannedGroup } from './world-support.ts'

test('a ring keeps the last ticks, and what is not known is null', () => {
  const ring = new RingTable({ points: 3, columns: 2, rowsMax: 2 })
  for (let tick = 1; tick <= 5; tick += 1) {
    ring.begin(tick * 1000)
    ring.set('a', [tick, tick === 4 ? undefined : tick * 10])
    ring.end()
  }

  assert.deepEqual(ring.series('a', 0), { timesMs: [3000, 4000, 5000], values: [3, 4, 5] })
  assert.deepEqual(ring.values('a', 1), [30, null, 50])
  assert.deepEqual(ring.values('nobody', 0), [])
})

test('a ring forgets what was not set, begins with what came later, and never has more rows than it may', () => {
  const ring = new RingTable({ points: 4, columns: 1, rowsMax: 2 })
  ring.begin(1000)
  ring.set('a', [1])
  ring.end()
  ring.begin(2000)
  for (const key of ['b', 'c', 'a']) ring.set(key, [2])
  ring.end()

  assert.equal(ring.size, 2)
  assert.deepEqual(ring.series('b', 0), { timesMs: [2000], values: [2] })
  assert.equal(ring.has('c'), false)
  assert.equal(ring.byteLength, (2 + 1) * 4 * 8)
})

test('a long ring takes over what a short one knows', () => {
  const short = new RingTable({ points: 3, columns: 1, rowsMax: 9 })
  const long = new RingTable({ points: 10, columns: 1, rowsMax: 9 })
  for (let tick = 1; tick <= 7; tick += 1) {
    short.begin(tick)
    long.begin(tick)
    short.set('a', [tick])
    short.end()
    long.end()
  }
  long.adopt('a', short)

  assert.deepEqual(long.series('a', 0), { timesMs: [5, 6, 7], values: [5, 6, 7] })
})

test('a history sums up groups, leaves gaps open, and knows since when nothing comes in', () => {
  const history = new History()
  const look = (takenAtMs: number, groups: readonly GroupLag[]): void => {
    const report = { clusterId: '', takenAtMs, durationMs: 1, groups, problems: [] }
    const arrivals = [{ records: 10, seconds: 2, rate: 5 }]
    history.add({ report, topics: ['orders'], arrivalsOf: () => arrivals })
  }
  const quiet = groupLag('quiet', [partitionLag({ arrivalRate: 0, serviceRate: 0 })])
  look(1000, [groupLag('a', [partitionLag({ lagSeconds: 3, lagRecords: 6n })]), quiet])
  history.gap(2000)
  history.gap(2500) // a second gap is the same gap
  look(3000, [groupLag('a', [partitionLag({ lagSeconds: 7, lagRecords: 9n })]), quiet])

  assert.deepEqual(history.total('lagSeconds'), { timesMs: [1000, 2000, 3000], values: [3, null, 7] })
  assert.deepEqual(history.total('arrivalRate').values, [200, null, 200])
  assert.deepEqual(history.group('a', 'lagRecords').values, [6, null, 9])
  assert.deepEqual(history.topic('orders').values, [5, null, 5])
  assert.equal(history.silentSinceMs('quiet'), 1000)
  assert.equal(history.silentSinceMs('a'), undefined)
})

test('a group that is watched has a longer history than the others', () => {
  const history = new History()
  const groups = [groupLag('watched', [partitionLag()]), groupLag('other', [partitionLag()])]
  for (let tick = 1; tick <= 200; tick += 1) {
    const report = { clusterId: '', takenAtMs: tick, durationMs: 1, groups, problems: [] }
    history.add({ report, topics: [], arrivalsOf: () => [] })
    if (tick === 100) history.group('watched', 'lagSeconds')
  }

  assert.equal(history.group('watched', 'lagSeconds').values.length, SHORT + 100)
  assert.equal(history.sparkline('watched').length, SHORT)
  assert.equal(history.group('other', 'lagSeconds').values.length, SHORT)
  assert.equal(history.total('lagSeconds').values.length, 200)
  assert.ok(LONG > 200)
})

const see = (book: RebalanceBook, takenAtMs: number, group: Partial<ScannedGroup>): void =>
  book.see({ groups: [scannedGroup(group)], isWhole: true, takenAtMs })

test('a rebalance between two looks is seen by its members and owners', () => {
  const book = new RebalanceBook()
  see(book, 1000, { members: [member('m-aaaaaa', [0, 1, 2, 3])] })
  assert.deepEqual(book.entries(), []) // the first look compares with nothing

  see(book, 3000, { members: [member('m-aaaaaa', [0, 1]), member('m-bbbbbb', [2, 3])] })

  assert.deepEqual(book.entries(), [
    {
      atMs: 3000,
      afterMs: 1000,
      groupId: 'billing',
      settledAtMs: 3000,
      joined: ['app-bbbbbb@10.0.0.1'],
      left: [],
      moved: 2,
      memberCount: 2,
      partitionCount: 4,
      state: 'Stable'
    }
  ])
  assert.equal(book.lastMs('billing'), 3000)
})

test('a rebalance that goes on is one entry, until the group rests', () => {
  const book = new RebalanceBook()
  see(book, 1000, { members: [member('m-a', [0, 1])] })
  see(book, 3000, { state: 'PreparingRebalance', members: [member('m-a', [0, 1])] })
  assert.equal(book.entries('billing')[0]?.settledAtMs, null)
  see(book, 5000, { state: 'CompletingRebalance', members: [member('m-b', [])] })
  see(book, 7000, { state: 'Stable', members: [member('m-b', [0, 1])] })
  see(book, 9000, { state: 'Stable', members: [member('m-b', [0, 1])] })

  const [entry, ...more] = book.entries('billing')
  assert.deepEqual(more, [])
  assert.equal(entry?.atMs, 3000)
  assert.equal(entry?.settledAtMs, 7000)
  assert.equal(entry?.left.length, 1)
  assert.equal(entry?.moved, 4) // two were taken away, two were given
  assert.equal(entry?.memberCount, 1)
})

test('the second round of a cooperative rebalance belongs to the first, a later one does not', () => {
  const book = new RebalanceBook()
  see(book, 1000, { members: [member('m-a', [0, 1])] })
  see(book, 3000, { members: [member('m-a', [0]), member('m-b', [])] })
  see(book, 5000, { members: [member('m-a', [0]), member('m-b', [1])] })
  assert.equal(book.entries().length, 1)
  assert.equal(book.entries()[0]?.settledAtMs, 5000)

  see(book, 20_000, { members: [member('m-a', [0, 1])] })
  assert.deepEqual(
    book.entries().map(({ atMs }) => atMs),
    [20_000, 3000]
  )
})

test('what could not be seen is no rebalance, and a group that is gone and comes again is new', () => {
  const book = new RebalanceBook()
  see(book, 1000, { members: [member('m-a', [0])] })
  // A group whose members could not be described has none here.
  const { members, ...unseen } = scannedGroup({ problem: 'no right' })
  assert.deepEqual(members, [])
  book.see({ groups: [unseen], isWhole: true, takenAtMs: 3000 })
  book.see({ groups: [], isWhole: false, takenAtMs: 5000 })
  see(book, 7000, { members: [member('m-a', [0])] })
  assert.deepEqual(book.entries(), [])

  book.see({ groups: [], isWhole: true, takenAtMs: 20_000 })
  see(book, 30_000, { members: [member('m-a', [0])] })
  assert.equal(book.entries()[0]?.joined.length, 1)
})

test('the timeline is bounded', () => {
  const book = new RebalanceBook()
  for (let tick = 0; tick < 2500; tick += 1) {
    see(book, tick * 10_000, { members: [member(`m-${tick}`, [0])] })
  }
  assert.equal(book.entries().length, 2000)
})

test('what is unknown is sorted last, whichever way, and equals keep their order', () => {
  const keys = [3, undefined, 1, null, 3, Number.NaN]

  assert.deepEqual([...orderBy(6, at => keys[at], false)], [2, 0, 4, 1, 3, 5])
  assert.deepEqual([...orderBy(6, at => keys[at], true)], [0, 4, 2, 1, 3, 5])
  assert.deepEqual([...inOrder(3, true)], [2, 1, 0])
})

test('numbers are short, and nothing that is not known becomes 0', () => {
  assert.equal(shortNumber(1 / 3), 0.3333)
  assert.equal(shortNumber(123_456), 123_456)
  assert.equal(shortNumber(undefined), null)
  assert.equal(shortNumber(Number.NaN), null)
  assert.equal(shortNumber(Infinity), null)
})

test('ERR_CONSOLE_REQUEST names what is wrong with a query', () => {
  const rules = { sorts: ['name', 'size'], sort: 'name' } as const
  const asked = (text: string): unknown => askedPage(new URLSearchParams(text), rules)
  const refuses = (run: () => unknown, words: RegExp): void =>
    assert.throws(
      run,
      error => PipelineError.is(error) && error.code === 'ERR_CONSOLE_REQUEST' && words.test(error.message)
    )

  assert.deepEqual(asked('sort=size&descending=true&offset=200&limit=50&find=Ab'), {
    offset: 200,
    limit: 50,
    sort: 'size',
    isDescending: true,
    find: 'ab'
  })
  refuses(() => asked('sort=__proto__'), /sort is one of name, size/)
  refuses(() => asked('limit=501'), /limit is a whole number from 1 to 500/)
  refuses(() => asked('offset=-1'), /offset/)
  refuses(() => asked('offset=1e3'), /offset/)
  refuses(() => asked('descending=perhaps'), /descending is true or false/)
  refuses(() => textOf(new URLSearchParams({ find: 'x'.repeat(301) }), 'find'), /longer than 300/)
  refuses(() => wordsOf(new URLSearchParams('status=WARN,evil'), 'status', ['OK', 'WARN']), /status is of OK, WARN/)
})

interface JudgedAs {
  readonly isOwn?: boolean
  readonly silentSinceMs?: number
  readonly slo?: number
  readonly isRestingReplay?: boolean
}

const judged = (group: GroupLag, change: JudgedAs = {}): unknown[] => {
  const operations = operationsDefaults()
  const slo = change.slo === undefined ? [] : [sloOf(group.groupId, change.slo)]
  const { isOwn = true, silentSinceMs, isRestingReplay = false } = change
  const { level, reasons } = new GroupJudge({ ...operations, slo }).judge({
    group,
    isOwn,
    silentSinceMs,
    nowMs: 1_000_000,
    isRestingReplay
  })
  return [level, ...reasons.map(({ key }) => key)]
}

function sloOf(
  group: string,
  lagSeconds: number
): { group: string; lagSeconds: number; objective: number; windowDays: number } {
  return { group, lagSeconds, objective: 0.999, windowDays: 30 }
}

test('the health of a group is ops’ word', () => {
  const behind = partitionLag({ lagRecords: 5000n, lagSeconds: 25 })

  assert.deepEqual(judged(groupLag('g', [partitionLag()])), ['good'])
  assert.deepEqual(judged(groupLag('g', [behind])), ['bad', 'lagHigh'])
  assert.deepEqual(judged(groupLag('g', [partitionLag({ flags: ['dataLoss'] })])), ['bad', 'dataLoss'])
  assert.deepEqual(judged(groupLag('g', [partitionLag()], 'no right')), ['unknown', 'unreadable'])
})

test('a commit beyond the end of the log is no lag, and not well', () => {
  // Symptom: of a topic that was made anew, its readers were Healthy with a lag of 0, and read nothing.
  const ahead = groupLag('g', [partitionLag({ flags: ['aheadOfLog'], committed: 10n ** 15n })])

  assert.deepEqual(judged(ahead), ['warn', 'aheadOfLog'])
})

test('what came a moment ago is on its way, however many records that is', () => {
  const busy = groupLag('g', [partitionLag({ lagRecords: 5000n, lagSeconds: 0.4, arrivalRate: 13_000 })])
  const unknown = groupLag('g', [partitionLag({ lagRecords: 5000n, lagSeconds: undefined })])

  assert.deepEqual(judged(busy), ['good'])
  assert.deepEqual(judged(unknown), ['bad', 'lagHigh']) // an age that is not known is not young
})

test('a group with an objective is held against it, not against a number of records', () => {
  const behind = groupLag('g', [partitionLag({ lagRecords: 5000n, lagSeconds: 25 })])

  assert.deepEqual(judged(behind, { slo: 60 }), ['good'])
  assert.deepEqual(judged(behind, { slo: 20 }), ['bad', 'lagOverSlo'])
})

test('silence is bad once it has lasted, and of a group of somebody else it is idleness', () => {
  const quiet = groupLag('g', [partitionLag({ arrivalRate: 0, serviceRate: 0 })])

  assert.deepEqual(judged(quiet, { silentSinceMs: 990_000 }), ['idle'])
  assert.deepEqual(judged(quiet, { silentSinceMs: 600_000 }), ['bad', 'producerStopped'])
  assert.deepEqual(judged(quiet, { silentSinceMs: 600_000, isOwn: false }), ['idle'])
})

test('the group of a replay that does not run is idle, and no part of the sums', () => {
  // Symptom: after a replay of a part of a topic, its group was Critical for ever, and the worst lag of the overview.
  const left = partitionLag({ lagRecords: 5000n, lagSeconds: 900, status: 'STOP' })
  const group = groupLag('a-replay', [left])
  const rests = { ...group, memberCount: 0 }
  const [a, other] = [groupLag('a', [partitionLag()]), { ...groupLag('b-replay', [left]), memberCount: 0 }]

  assert.deepEqual([...restingReplaysOf([a, rests, other])], ['a-replay']) // nobody is called b
  assert.equal(restingReplaysOf([a, group]).size, 0, 'one that runs is judged')
  assert.deepEqual(judged(rests, { isRestingReplay: true }), ['idle', 'replayRests'])
  assert.deepEqual(judged(rests, { isRestingReplay: true, slo: 60 })[0], 'bad') // somebody promised something for it
  const history = new History()
  const report = { clusterId: '', takenAtMs: 1000, durationMs: 1, groups: [a, rests], problems: [] }
  history.add({ report, topics: [], arrivalsOf: () => [] })
  assert.deepEqual(history.total('lagSeconds').values, [0])
  assert.deepEqual(history.total('arrivalRate').values, [200])
  assert.deepEqual(history.group('a-replay', 'lagSeconds').values, [900])
})

test('the worst of several: unknown is worse than good, idle is not', () => {
  assert.equal(worstOf(['good', 'idle']), 'good')
  assert.equal(worstOf(['good', 'unknown']), 'unknown')
  assert.equal(worstOf(['unknown', 'warn', 'good']), 'warn')
  assert.equal(worstOf([]), 'unknown')
})

test('topics have their role in the pipeline, or by their name', () => {
  const names = pipelineNames(undefined, operationsDefaults())
  const roles = ['orders', 'orders.dlq', 'dead-letters', '__consumer_offsets', 'orders.g.retry-30s', 'seedlings']

  assert.deepEqual(
    roles.map(topic => roleOfTopic(topic, false, names)),
    ['other', 'deadLetters', 'deadLetters', 'internal', 'retries', 'other']
  )
  assert.equal(retryDelayOf('orders.g.retry-5m', 'orders'), 300)
  assert.equal(retryDelayOf('orders2.g.retry-5m', 'orders'), undefined)
})

/** A page of metrics of one dispatcher. */
function pageOf(takenAtMs: number, counts: readonly number[], name = 'dispatcher-1'): InstanceLook {
  const bounds = ['10', '100', '+Inf']
  const metrics: MetricSample[] = counts.map((value, at) => ({
    name: 'comporta_dispatcher_invoke_duration_bucket',
    labels: { group: 'g', outcome: 'ok', le: bounds[at] ?? '' },
    value
  }))
  const count = counts.at(-1) ?? 0
  const labels = { group: 'g', outcome: 'ok' }
  metrics.push({ name: 'comporta_dispatcher_invoke_duration_sum', labels, value: count * 50 })
  metrics.push({ name: 'comporta_dispatcher_invoke_duration_count', labels, value: count })
  const instance = { name, role: 'dispatcher' as const, url: 'http://127.0.0.1:1' }
  return { instance, takenAtMs, problem: null, isReady: true, description: undefined, metrics }
}

test('histograms are what came within the window, of all processes, and a restart counts from zero', () => {
  const book = new HistogramBook()
  book.see([pageOf(0, [100, 200, 300])])
  assert.equal(book.read('g').invokeDuration, null) // one page says nothing of now

  book.see([pageOf(60_000, [104, 210, 311]), pageOf(60_000, [50, 50, 50], 'dispatcher-2')])
  book.see([pageOf(120_000, [104, 210, 311]), pageOf(120_000, [1, 2, 3], 'dispatcher-2')])

  const { windowSeconds, invokeDuration, batchAge } = book.read('g')
  assert.equal(windowSeconds, 120)
  assert.equal(batchAge, null)
  assert.deepEqual(invokeDuration, {
    unit: 'seconds',
    bounds: [0.01, 0.1],
    // The first: 4 up to 10 ms, 6 up to 100 ms, 1 above; the second was started anew: 1, 1, 1.
    counts: [5, 7, 2],
    count: 14,
    sum: 0.7
  })
  assert.equal(book.read('another group').invokeDuration, null)
})

test('hostile pages of metrics are left out or bounded', () => {
  const book = new HistogramBook()
  const hostile = (takenAtMs: number): InstanceLook => ({
    ...pageOf(takenAtMs, [1, 2, 3]),
    metrics: Array.from({ length: 5000 }, (_, at) => ({
      name: 'comporta_dispatcher_invoke_duration_bucket',
      labels: { group: `g${at % 1000}`, le: at % 2 === 0 ? 'x' : String(at) },
      value: at % 3 === 0 ? Number.NaN : at
    }))
  })
  book.see([hostile(0)])
  book.see([hostile(10_000)])

  assert.equal(book.read('g999').invokeDuration, null) // beyond the limit of series
  assert.ok((book.read('g1').invokeDuration?.counts.length ?? 0) <= 201)
})
