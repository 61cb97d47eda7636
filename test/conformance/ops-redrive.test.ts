/** Redriving dead letters on whatever cluster is under test: nothing lost, repeats as announced, keys in order. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { Appender, type AppendHeader, type AppendRecord } from '../../src/client/index.ts'
import { systemClock } from '../../src/core/index.ts'
import {
  Audit,
  LEDGER_KIND,
  planRedrive,
  type ReadRecord,
  readLastRecords,
  type RedriveAudit,
  redriveAuditFile,
  type RedriveAuditLine,
  type RedriveRequest
} from '../../src/ops/index.ts'
import { partitionForKey } from '../../src/protocol/index.ts'
import { Bench, LedgerTarget, until } from './dispatch-support.ts'

/** A time that every topic takes and keeps. */
const TIME_MS = Date.now() - 60_000

/** A dead letter as the dispatcher writes it: docs/reference/outcomes.md. */
function letterOf(bench: Bench, n: number, more: Partial<AppendRecord> & { own?: AppendHeader[] } = {}): AppendRecord {
  const { own = [], ...record } = more
  const block = {
    'comporta-origin-topic': bench.topic,
    'comporta-origin-partition': '0',
    'comporta-origin-offset': String(n),
    'comporta-origin-timestamp': String(TIME_MS + n),
    'comporta-error-class': n % 2 === 0 ? 'RetriesExhausted' : 'TargetVerdict',
    'comporta-error-reason': `truck ${n} unknown`,
    'comporta-attempts': '3',
    'comporta-group': bench.groupId,
    'comporta-first-failure-ms': String(TIME_MS + n),
    'comporta-last-failure-ms': String(TIME_MS + n + 5)
  }
  const headers = Object.entries(block).map(([key, value]) => ({ key, value: Buffer.from(value) }))
  return {
    topic: bench.deadLetterTopic,
    key: Buffer.from(`k${n % 3}`),
    value: Buffer.from(`{"n":${n}}`),
    headers: [...own, ...headers],
    ...record
  }
}

async function append(bench: Bench, records: readonly AppendRecord[]): Promise<void> {
  const appender = new Appender({ cluster: bench.cluster, lingerMs: 1 })
  const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
  for (const record of records) while (!appender.append(record, listener)) await appender.room()
  await appender.flush()
  await appender.close()
}

interface RunOptions extends Partial<RedriveRequest> {
  readonly audit?: RedriveAudit
  readonly signal?: AbortSignal
}

async function plan(bench: Bench, options: RunOptions = {}): ReturnType<typeof planRedrive> {
  const { audit, signal: _, ...rules } = options
  const open = { cluster: bench.cluster, admin: bench.admin, clock: systemClock }
  const request = { deadLetterTopic: bench.deadLetterTopic, by: 'a test', ...rules }
  return await planRedrive(audit === undefined ? open : { ...open, audit }, request)
}

async function redrive(bench: Bench, options: RunOptions = {}): Promise<{ isComplete: boolean; details: unknown }> {
  const change = await plan(bench, options)
  assert.deepEqual(change.plan.blockers, [])
  return { details: {}, ...(await change.apply(options.signal === undefined ? {} : { signal: options.signal })) }
}

async function recordsOf(bench: Bench, topic = bench.topic): Promise<readonly ReadRecord[]> {
  const { cluster, admin } = bench
  const { records } = await readLastRecords({ cluster, admin, topics: [topic], count: 10_000 })
  return records
}

const numbersOf = (records: readonly ReadRecord[]): number[] =>
  records.map(({ value }) => (JSON.parse(String(value)) as { n: number }).n)

const headersOf = ({ headers }: ReadRecord): Record<string, string> =>
  Object.fromEntries(headers.map(({ key, value }) => [key, String(value)]))

/** Produces events while the test runs; a service refuses every fifth until it is repaired. */
async function pipelineUnderLoad(t: TestContext): Promise<{
  bench: Bench
  repair: () => void
  stop: () => Promise<Audit>
  letters: () => Promise<bigint>
}> {
  const bench = await Bench.open(t, 3)
  const seen: number[] = []
  const refused = new Set<number>()
  let isSick = true
  const target = new LedgerTarget(({ messages, offsets }) => {
    const events = messages.map(message => (message as { n: number }).n)
    const failures = events.flatMap((n, index) => {
      if (!isSick || n % 5 !== 0) return []
      refused.add(n)
      return [{ offset: offsets[index] ?? -1, action: 'deadLetter', reason: 'sick' }]
    })
    for (const n of events) if (!isSick || n % 5 !== 0) seen.push(n)
    return { failures }
  })
  await bench.dispatch(target)
  const appender = new Appender({ cluster: bench.cluster, lingerMs: 1 })
  t.after(() => appender.close(0))
  let produced = 0
  const listener = { delivered: () => undefined, failed: (error: Error) => assert.fail(error) }
  const timer = setInterval(() => {
    for (let index = 0; index < 10; index += 1, produced += 1) {
      const key = Buffer.from(`k${produced % 7}`)
      assert.ok(appender.append({ topic: bench.topic, key, value: Buffer.from(`{"n":${produced}}`) }, listener))
    }
  }, 20)
  t.after(() => clearInterval(timer))
  const entryOf = (n: number): Parameters<Audit['produced']>[0] => ({
    kind: LEDGER_KIND.produced,
    producer: 0,
    detail: 1,
    event: n,
    key: n % 7,
    keySequence: Math.floor(n / 7),
    timeMs: 0
  })
  return {
    bench,
    repair: () => void (isSick = false),
    letters: () => bench.end(0, bench.deadLetterTopic),
    stop: async () => {
      clearInterval(timer)
      await appender.flush()
      await bench.untilDrained(3)
      // A record that was refused is delivered behind newer ones of its key, as the plan has said.
      const audit = new Audit({ mayBeLate: ({ event }) => refused.has(event) })
      for (let n = 0; n < produced; n += 1) audit.produced(entryOf(n))
      for (const n of seen) audit.delivered({ ...entryOf(n), kind: LEDGER_KIND.delivered, detail: 0 })
      return audit
    }
  }
}

test('under load, what a sick target refused is redriven after its repair: nothing lost, nothing twice', async t => {
  const { bench, repair, stop, letters } = await pipelineUnderLoad(t)
  await until(async () => (await letters()) >= 30n, 'thirty dead letters')
  repair()
  // What was at the target then has had its answer when everything that lay there is committed.
  const ends = await Promise.all([0, 1, 2].map(partition => bench.end(partition)))
  for (const [partition, end] of ends.entries()) {
    await until(async () => (await bench.committed(partition)) >= end, `partition ${partition} is beyond the repair`)
  }
  const lines: RedriveAuditLine[] = []
  const change = await plan(bench, { audit: given => Promise.resolve(void lines.push(...given)), batchRecords: 7 })
  const due = Number(await letters())
  assert.match(change.plan.summary, new RegExp(`^${due} dead letters of ${bench.deadLetterTopic} are redriven`))
  assert.deepEqual(
    change.plan.effects.map(({ what, after, records }) => [what, after, records]),
    [[bench.topic, 'TargetVerdict', BigInt(due)]]
  )
  assert.equal(change.plan.undo.kind, 'impossible')
  const result = await change.apply({})
  assert.deepEqual([result.isComplete, result.failures], [true, []])
  const audit = await stop()
  const report = audit.report()
  assert.deepEqual([report.lost.count, report.duplicates, report.outOfOrder.count], [0, 0, 0])
  assert.ok(report.holds, JSON.stringify(report))
  assert.equal(lines.length, due)
  // Every place that the audit names has the record of that dead letter, in the partition of its key.
  const places = new Map((await recordsOf(bench)).map(each => [`${each.topic}-${each.partition}@${each.offset}`, each]))
  for (const line of lines) {
    const record = places.get(line.to)
    assert.ok(record !== undefined, `nothing at ${line.to}`)
    assert.equal(headersOf(record)['comporta-redriven-from'], line.letter)
    assert.equal(record.partition, partitionForKey(record.key ?? Buffer.alloc(0), 3))
    assert.equal(line.redrives, 1)
  }
  assert.equal((await plan(bench)).plan.effects.length, 0, 'a second run finds nothing')
})

test('key, value, headers and time are as they were, and the headers of the redrive are added', async t => {
  const bench = await Bench.open(t, 3)
  const own = [
    { key: 'trace', value: Buffer.from([0xff, 0]) },
    { key: 'comporta-origin-topic', value: Buffer.from('its own') },
    { key: 'empty', value: null }
  ]
  await append(bench, [letterOf(bench, 4, { own })])
  await redrive(bench)
  const [record] = await recordsOf(bench)
  assert.ok(record !== undefined)
  assert.equal(String(record.key), 'k1')
  assert.equal(String(record.value), '{"n":4}')
  assert.equal(record.timestampMs, TIME_MS + 4)
  assert.deepEqual(record.headers.slice(0, 3), own)
  const added = Object.fromEntries(record.headers.slice(3).map(({ key, value }) => [key, String(value)]))
  assert.match(added['comporta-redriven-at-ms'] ?? '', /^\d{13}$/)
  delete added['comporta-redriven-at-ms']
  assert.deepEqual(added, {
    'comporta-redrive-count': '1',
    'comporta-redriven-from': `${bench.deadLetterTopic}-0@0`,
    'comporta-redriven-by': 'a test'
  })
})

test('a stop between any two rounds loses and repeats nothing; a crash before a commit repeats one round', async t => {
  const letters = 12
  const batchRecords = 3
  for (const way of ['stop', 'crash'] as const) {
    for (let step = 1; step <= letters / batchRecords; step += 1) {
      const bench = await Bench.open(t)
      await append(
        bench,
        Array.from({ length: letters }, (_, n) => letterOf(bench, n))
      )
      const stop = new AbortController()
      let rounds = 0
      const audit: RedriveAudit = () => {
        rounds += 1
        if (rounds < step) return Promise.resolve()
        // Everything is appended and nothing committed: where a kill does the most harm.
        if (way === 'crash' && rounds === step) return Promise.reject(new Error('killed'))
        stop.abort()
        return Promise.resolve()
      }
      const first = await redrive(bench, { audit, batchRecords, signal: stop.signal })
      assert.equal(first.isComplete, false, `${way} at ${step}`)
      await redrive(bench, { batchRecords })
      const found = numbersOf(await recordsOf(bench))
      const repeats = found.length - letters
      assert.equal(new Set(found).size, letters, `${way} at ${step}: ${found.join()}`)
      assert.equal(repeats, way === 'crash' ? batchRecords : 0, `${way} at ${step}: ${found.join()}`)
    }
  }
})

test('what fails again comes back, is not redriven in the same run, and stays after three times', async t => {
  const bench = await Bench.open(t)
  await bench.append([{ key: 'k', value: '{"n":1}' }])
  const target = new LedgerTarget(({ offsets }) => ({
    failures: offsets.map(offset => ({ offset, action: 'deadLetter', reason: 'never' }))
  }))
  await bench.dispatch(target)
  for (let run = 1; run <= 3; run += 1) {
    await until(async () => (await bench.end(0, bench.deadLetterTopic)) === BigInt(run), `dead letter ${run}`)
    const { details } = await redrive(bench)
    assert.equal((details as { redriven: number }).redriven, 1)
  }
  await until(async () => (await bench.end(0, bench.deadLetterTopic)) === 4n, 'the fourth dead letter')
  const change = await plan(bench)
  assert.deepEqual(change.plan.effects, [])
  assert.match(change.plan.warnings.join(), /1 dead letters stay: redriven too often already/)
  const last = (await recordsOf(bench, bench.deadLetterTopic)).at(-1)
  assert.ok(last !== undefined)
  assert.equal(headersOf(last)['comporta-redrive-count'], '3')
  // A person who has repaired it chooses exactly those.
  const more = await plan(bench, { redrivesMin: 3, redrivesMax: 9 })
  assert.equal(more.plan.effects[0]?.records, 1n)
})

test('filters choose by class, reason, origin, key and fields; each choice has a progress of its own', async t => {
  const bench = await Bench.open(t)
  await append(
    bench,
    Array.from({ length: 6 }, (_, n) => letterOf(bench, n))
  )
  const count = async (options: RunOptions): Promise<number> => {
    const { plan: planned } = await plan(bench, options)
    return planned.effects.reduce((sum, { records }) => sum + Number(records), 0)
  }
  assert.equal(await count({ errorClasses: ['TargetVerdict'] }), 3)
  assert.equal(await count({ originTopics: ['other'] }), 0)
  assert.equal(await count({ query: { fields: { n: [{ from: 2, to: 3 }] } } }), 2)
  assert.equal(await count({ query: { text: [{ in: 'key', equals: 'k0' }] } }), 2)
  const reason = { in: { header: 'comporta-error-reason' }, regex: 'truck [45]' }
  assert.equal(await count({ query: { text: [reason] } }), 2)
  assert.equal(await count({ limit: 2 }), 6)
  await redrive(bench, { errorClasses: ['TargetVerdict'] })
  assert.deepEqual(numbersOf(await recordsOf(bench)), [1, 3, 5])
  assert.equal(await count({ errorClasses: ['TargetVerdict'] }), 0)
  assert.equal(await count({ errorClasses: ['RetriesExhausted'] }), 3)
  await redrive(bench, { errorClasses: ['RetriesExhausted'], limit: 2 })
  await redrive(bench, { errorClasses: ['RetriesExhausted'], limit: 2 })
  assert.deepEqual(
    numbersOf(await recordsOf(bench)).toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5]
  )
})

test('an event that never lay in a topic needs one, and what was cut cannot be redriven', async t => {
  const bench = await Bench.open(t)
  const block = (more: Record<string, string>): AppendHeader[] =>
    Object.entries({
      'comporta-error-class': 'malformed',
      'comporta-error-reason': 'not JSON',
      'comporta-source': 'stdin',
      'comporta-line': '7',
      ...more
    }).map(([key, value]) => ({ key, value: Buffer.from(value) }))
  const letter = { topic: bench.deadLetterTopic, key: null, value: Buffer.from('{"n":') }
  await append(bench, [
    { ...letter, headers: [...block({}), { key: 'own', value: Buffer.from('1') }] },
    { ...letter, headers: block({ 'comporta-whole-bytes': '99' }) }
  ])
  const change = await plan(bench)
  assert.deepEqual(change.plan.effects, [])
  assert.match(change.plan.warnings.join(), /never lay in a topic.*--to.*only the beginning of its value was kept/)
  await redrive(bench, { to: bench.topic })
  const [record, ...others] = await recordsOf(bench)
  assert.deepEqual(others, [])
  assert.deepEqual([String(record?.value), record?.headers[0]?.key], ['{"n":', 'own'])
})

test('a reference gets its value from its origin, and stays if that is gone', async t => {
  const bench = await Bench.open(t)
  const value = Buffer.from('{"n":1,"large":true}')
  await append(bench, [{ topic: bench.topic, key: Buffer.from('k'), value, timestampMs: TIME_MS }])
  const reference = { value: null, headers: [] }
  const more = { key: 'comporta-value-bytes', value: Buffer.from('20') }
  const at = (n: number): AppendRecord => {
    const letter = letterOf(bench, n, reference)
    const { headers = [] } = { ...letterOf(bench, n) }
    return { ...letter, headers: [...headers, more] }
  }
  await append(bench, [at(0), at(1)])
  const result = await redrive(bench)
  const { redriven, stays } = result.details as { redriven: number; stays: Record<string, number> }
  assert.deepEqual([redriven, stays], [1, { 'origin-gone': 1 }])
  const [, redriven1] = await recordsOf(bench)
  assert.deepEqual(redriven1?.value, value)
})

test('what cannot be is said before anything is done', async t => {
  const bench = await Bench.open(t)
  await append(bench, [letterOf(bench, 0)])
  const blockersOf = async (options: RunOptions): Promise<string> => (await plan(bench, options)).plan.blockers.join()
  assert.match(await blockersOf({ to: bench.deadLetterTopic }), /would be redriven to itself/)
  assert.match(await blockersOf({ to: 'not-there' }), /topic not-there does not exist: create it/)
  await bench.admin.alterConfigs([
    {
      resource: { type: 'topic', name: bench.topic },
      changes: [{ name: 'retention.ms', operation: 'set', value: '1000' }]
    }
  ])
  assert.match(await blockersOf({}), /may be deleted before they are read; --timestamp now/)
  assert.equal(await blockersOf({ timestamp: 'now' }), '')
  await assert.rejects(plan(bench, { deadLetterTopic: 'no-such-topic' }), { code: 'ERR_OPS_NOT_FOUND' })
  assert.deepEqual(await recordsOf(bench), [])
})

test('a list that cannot be written stops the redrive before anything is committed', async t => {
  const bench = await Bench.open(t)
  await append(bench, [letterOf(bench, 0)])
  const folder = mkdtempSync(join(tmpdir(), 'comporta-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'file'), '')
  const audit = redriveAuditFile(join(folder, 'file', 'list.ndjson'))
  await assert.rejects(audit([{ at: '', by: '', group: '', letter: '', to: '', errorClass: '', redrives: 1 }]), {
    code: 'ERR_OPS_AUDIT_FAILED'
  })
  const { isComplete, failures } = await (await plan(bench, { audit })).apply({})
  assert.equal(isComplete, false)
  assert.match(failures.join(), /the audit .* cannot be written/)
  assert.equal((await plan(bench)).plan.effects[0]?.records, 1n, 'it is still to be redriven')
})

test('a redrive stops when somebody else moves the offsets of its group', async t => {
  const bench = await Bench.open(t)
  await append(
    bench,
    Array.from({ length: 6 }, (_, n) => letterOf(bench, n))
  )
  const other = await plan(bench)
  const audit: RedriveAudit = async () => void (await other.apply({}))
  const { isComplete, failures } = await (await plan(bench, { audit, batchRecords: 2 })).apply({})
  assert.equal(isComplete, false)
  assert.match(failures.join(), /somebody else has moved the offset of group .*: is another redrive running\?/)
})

test('what somebody else has redriven since the plan is not redriven again', async t => {
  const bench = await Bench.open(t)
  await append(
    bench,
    Array.from({ length: 6 }, (_, n) => letterOf(bench, n))
  )
  const [first, second] = [await plan(bench), await plan(bench)]
  assert.equal((await second.apply({})).isComplete, true)
  const { isComplete, failures, summary } = await first.apply({})
  assert.equal(isComplete, false)
  assert.match(summary, /^0 dead letters were redriven/)
  assert.match(failures.join(), /somebody else has moved the offset of group/)
})
