/**
 * Bad input: every row of the table in docs/guides/distributor.md, walked with a real distributor and real services,
 * in both events. The expected outcomes are those of the guide.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import path from 'node:path'
import { test, type TestContext } from 'node:test'

import { PipelineError } from '../../src/core/index.ts'
import type { DistributorOptions, DistributorResponse, ComportaFailure } from '../../src/lambda/index.ts'
import { startLookupService } from './enrichment/support.ts'
import { type Answer, contextWith, distributorFor, type Received, startService } from './support.ts'

type Format = 'json' | 'esm'
type Options = Partial<DistributorOptions>

/** One way to be bad. The bad record has offset 101 and key b; 100 (a) and 102 (c) are good. */
interface Scenario {
  /** Value of the bad record; `raw` is its Base64 in AWS's event, or `null`. */
  readonly bad?: unknown
  readonly raw?: string | null
  /** The whole event instead, and what has to come of it. */
  readonly event?: (format: Format) => unknown
  /** What the service answers to a request with the bad record. */
  readonly answer?: Answer | ((received: Received) => Answer)
  readonly options?: Partial<DistributorOptions> | ((t: TestContext, url: string) => Options | Promise<Options>)
  /** Address of the target, if it is not an HTTP service that works. */
  readonly url?: (t: TestContext) => Promise<string>
  readonly remainingMs?: number
  /** Offsets that must have been delivered; default: those that are well. */
  readonly delivered?: readonly number[]
}

const GOOD = { codigo: 1 }
const BAD = { codigo: 1, bad: true }
const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

function partition(offset: unknown, more: object = {}): Record<string, unknown> {
  return { topic: 't', partition: 0, offset, value: base64('{"codigo":1}'), ...more }
}

/** An event with these offsets and otherwise good records. */
function withOffsets(format: Format, offsets: readonly unknown[]): unknown {
  if (format === 'esm') return { eventSource: 'aws:kafka', records: { 't-0': offsets.map(each => partition(each)) } }
  return { topic: 't', partition: 0, messages: offsets.map(() => GOOD), offsets }
}

/** A server that says these bytes to whoever has sent something, and ends. */
async function rudeServer(t: TestContext, reply: string): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(reply))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`
}

const statuses = (...codes: number[]): Scenario[] => codes.map(status => ({ answer: { status } }))

/** Looks up the code of each event. */
async function enrichment(t: TestContext, more: object): Promise<Options> {
  const service = await startLookupService(t, ({ path: asked }) => {
    if (asked === '/none') return { status: 404 }
    return asked === '/down' ? { status: 500 } : { body: '{"name":"Ana"}' }
  })
  const from = { type: 'http', url: `${service.url}/{key}` } as const
  return { enrich: [{ into: 'driver', key: 'codigo', from, ...more }], otherwise: ['s'] }
}

/** A second target, which is down, for code 2. */
async function secondTarget(t: TestContext, url: string): Promise<Options> {
  const down = await startService(t, () => ({ status: 503 }))
  const routes = [
    { values: [1, 2], targets: ['s'] },
    { values: [2], targets: ['down'] }
  ]
  return { targets: { s: url, down: down.url }, routes }
}

const sqsEvent = { Records: [{ eventSource: 'aws:sqs', body: '{}' }] }
const s3Event = { Records: [{ eventSource: 'aws:s3', s3: { object: { key: 'k' } } }] }
const anything: Scenario[] = [null, [], 'text', 7, {}, sqsEvent, s3Event].map(event => ({ event: () => event }))

/** What leads to each row of the guide's table; several ways lead to some. */
const SCENARIOS: Readonly<Record<string, Scenario | Scenario[]>> = {
  'a value of the field that no route names': { bad: { codigo: 99 } },
  'the same, with `otherwise: skip`': { bad: { codigo: 99 }, options: { otherwise: 'skip' } },
  'the same, with a list of targets as `otherwise`': { bad: { codigo: 99 }, options: { otherwise: ['s'] } },
  'an event without the field': [{ bad: {} }, { bad: { other: 1 } }],
  'a field that is an object, a list, `true` or `null`': [{}, [1], true, null].map(codigo => ({ bad: { codigo } })),
  'an event that is no object': [{ bad: 'text' }, { bad: 7 }, { bad: [1] }, { bad: true }],
  'a field `__proto__`, or a value `constructor`': [
    { bad: JSON.parse('{"__proto__":{"codigo":1}}') as unknown },
    { bad: { codigo: 'constructor' } }
  ],
  'no value: a tombstone': { bad: null, raw: null },
  'a value that is not JSON': ['', 'text', '{"a":1}{"b":2}', '{"a":', 'NaN'].map(text => ({ raw: base64(text) })),
  'a value that is not UTF-8': { raw: Buffer.from([0x22, 0xc3, 0x28, 0x22]).toString('base64') },
  'a value that is not Base64': { raw: '{"codigo":1}' },
  'a value of 100,000 nested lists': {
    bad: JSON.parse(deep) as unknown,
    raw: base64(deep),
    options: { otherwise: ['s'] }
  },
  'a record larger than the target’s `recordBytesMax`': {
    bad: { codigo: 1, text: 'x'.repeat(300) },
    options: (_, url) => ({ targets: { s: { type: 'http', url, recordBytesMax: 200 } } })
  },
  'a record larger than `bytesMax`': { bad: { codigo: 1, text: 'x'.repeat(300) }, options: { bytesMax: 100 } },
  'an integer beyond 2⁵³ in a value': { bad: { codigo: 1, id: 2 ** 60 } },
  'no records: `messages: []`, `records: {}`, or empty lists': [
    { event: format => withOffsets(format, []), delivered: [] },
    { event: format => (format === 'esm' ? { records: {} } : withOffsets(format, [])), delivered: [] }
  ],
  'an event of another shape: nothing, a list, text, SQS’s, S3’s': anything,
  'no topic, no partition, or a partition that is no number': [
    {
      event: format =>
        format === 'esm' ? { records: { t: [{ offset: 1 }] } } : { messages: [1], offsets: [1], partition: 0 }
    },
    {
      event: format =>
        format === 'esm'
          ? { records: { 't-x': [{ offset: 1 }] } }
          : { topic: 't', messages: [1], offsets: [1], partition: 'x' }
    }
  ],
  'offsets that are missing, too few, text, negative or fractions': [
    ...[undefined, '1', -1, 1.5, null].map(offset => ({ event: (format: Format) => withOffsets(format, [0, offset]) })),
    {
      event: format =>
        format === 'esm' ? { records: { 't-0': [{}] } } : { topic: 't', partition: 0, messages: [1, 2], offsets: [1] }
    }
  ],
  'an offset from 2⁵³ on: it was rounded on its way': { event: format => withOffsets(format, [2 ** 53 + 2]) },
  'keys or timestamps that are not one per message': [
    { event: () => ({ topic: 't', partition: 0, messages: [GOOD], offsets: [1], keys: [] }) },
    { event: () => ({ topic: 't', partition: 0, messages: [GOOD], offsets: [1], timestamps: [1, 2] }) }
  ],
  'the same offset twice': { event: format => withOffsets(format, [101, 101]), delivered: [101, 101] },
  'offsets that do not ascend': { event: format => withOffsets(format, [102, 101]), delivered: [102, 101] },
  'a service answers 400, 409, 413 or 422': statuses(400, 409, 413, 422),
  'a service answers 401, 403, 404, 405, 407, 408, 425, 429, 302 or 503': statuses(
    401,
    403,
    404,
    405,
    407,
    408,
    425,
    429,
    302,
    503
  ),
  'a service answers 500, 502 or 504': statuses(500, 502, 504),
  'a service does not answer in time': { answer: 'hang', options: { timeoutMs: 60 } },
  'a service cuts the connection, before the reply or within it': [
    { answer: 'cut' },
    { url: t => rudeServer(t, 'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"fail') },
    { url: t => rudeServer(t, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"fai\r\n') }
  ],
  'a service answers with something that is no HTTP': { url: t => rudeServer(t, '220 mail.example.com ESMTP\r\n') },
  'a service answers 200 with broken JSON, or failures that it was not sent': [
    { answer: { body: '{"failures":[' } },
    { answer: { body: '{"failures":{"offset":101}}' } },
    { answer: { body: '{"failures":[{"offset":999,"action":"skip"}]}' } }
  ],
  'a service cannot be reached': { url: () => Promise.resolve('http://127.0.0.1:1/') },
  'a service names the record with `retry`': {
    answer: { body: { failures: [{ offset: 101, action: 'retry', reason: 'locked' }] } }
  },
  'a service names the record with an action that nobody knows': {
    answer: { body: { failures: [{ offset: 101, action: 'explode' }] } }
  },
  'one of two targets is down': {
    bad: { codigo: 2 },
    options: secondTarget,
    delivered: [100, 101, 102]
  },
  'the source of an enrichment is down': { bad: { codigo: 'down' }, options: t => enrichment(t, {}) },
  'the same, with `onError: pass`': { bad: { codigo: 'down' }, options: t => enrichment(t, { onError: 'pass' }) },
  'nothing to enrich with, and `missing: deadLetter`': {
    bad: { codigo: 'none' },
    options: t => enrichment(t, { missing: 'deadLetter' })
  },
  'the idempotency store is down': {
    options: {
      guard: {
        begin: () => Promise.reject(new PipelineError('ERR_LAMBDA_IDEMPOTENCY_STORE', 'down')),
        close: () => Promise.resolve()
      }
    }
  },
  'no time is left in the invocation': { remainingMs: 260 },
  'a routing function that throws, or names no target': [
    { options: { route: ({ offset }) => (offset === 101 ? ['nobody'] : ['s']) } },
    {
      options: {
        route: ({ offset }) => {
          if (offset === 101) throw new Error('a mistake')
          return ['s']
        }
      }
    }
  ]
}

interface Row {
  readonly title: string
  readonly json: string
  readonly esm: string
  /** Whether the neighbours share its fate. */
  readonly isForAll: boolean
}

/** The rows of the guide's table; the outcome is what a cell has in code quotes. */
function readTable(): Row[] {
  const guide = readFileSync(path.join(import.meta.dirname, '../../docs/guides/distributor.md'), 'utf8')
  const section = guide.slice(guide.indexOf('### Bad input'), guide.indexOf('## Delivered at least once'))
  const lines = section.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('| ---'))
  return lines.slice(1).map(line => {
    const [title = '', json = '', esm = ''] = line
      .split('|')
      .slice(1)
      .map(cell => cell.trim())
    const quoted = (cell: string): string => /`([^`]+)`/.exec(cell)?.[1] ?? ''
    const isForAll = / all (?:behind it|records)/.test(json) && !json.includes('with its key')
    return { title, json: quoted(json), esm: quoted(esm), isForAll }
  })
}

function eventOf(scenario: Scenario, format: Format): unknown {
  if (scenario.event !== undefined) return scenario.event(format)
  const bad = 'bad' in scenario ? scenario.bad : BAD
  const keys = ['a', 'b', 'c']
  const offsets = [100, 101, 102]
  if (format === 'json') return { topic: 't', partition: 0, messages: [GOOD, bad, GOOD], offsets, keys }
  const raw = scenario.raw === undefined ? base64(JSON.stringify(bad)) : scenario.raw
  const values = [base64(JSON.stringify(GOOD)), raw, base64(JSON.stringify(GOOD))]
  const list = offsets.map((offset, index) =>
    partition(offset, { value: values[index], key: base64(keys[index] ?? '') })
  )
  return { eventSource: 'aws:kafka', records: { 't-0': list } }
}

/** What an answer says of the bad record, in the words of the table. */
function outcomeOf(response: DistributorResponse): string {
  if ('batchItemFailures' in response) return response.batchItemFailures.length === 0 ? 'done' : 'resume'
  const failures: readonly ComportaFailure[] = 'failures' in response ? (response.failures ?? []) : []
  const own = failures.find(each => each.offset === 101)
  if (own === undefined) return 'ok'
  const flags = [own.unavailable === true ? 'unavailable' : '', own.suspect === true ? 'suspect' : '']
  return [own.action, ...flags.filter(flag => flag !== '')].join(' ')
}

interface Walk {
  readonly row: Row
  readonly scenario: Scenario
  readonly format: Format
}

async function walk(t: TestContext, { row, scenario, format }: Walk): Promise<void> {
  const expected = row[format]
  const { answer = {} } = scenario
  const service = await startService(t, received => {
    if (!received.body.offsets.includes(101)) return {}
    return typeof answer === 'function' ? answer(received) : answer
  })
  const url = (await scenario.url?.(t)) ?? service.url
  const { options = {} } = scenario
  const own = typeof options === 'function' ? await options(t, url) : options
  const routes = [{ values: [1], targets: ['s'] }]
  const distribute = distributorFor(t, { targets: { s: url }, routes, ...own })
  const pending = distribute(eventOf(scenario, format), contextWith(scenario.remainingMs ?? 60_000))
  if (expected === 'fails') {
    await assert.rejects(pending, { code: 'ERR_LAMBDA_EVENT_UNRECOGNISED' })
    assert.equal(service.received.length, 0)
    return
  }
  const response = await pending
  assert.equal(outcomeOf(response), expected)
  if (row.isForAll) return
  if ('batchItemFailures' in response && expected === 'resume') {
    const items = [{ itemIdentifier: { partition: 't-0', offset: 101 } }]
    assert.deepEqual(response.batchItemFailures, items, 'only the bad record is resumed at')
  }
  const isWell = expected === 'ok' || expected === 'done'
  const delivered = scenario.delivered ?? (isWell && row.json !== 'skip' ? [100, 101, 102] : [100, 102])
  // What was refused was looked for by halves: only what was answered well counts as delivered.
  const taken = service.offsets().filter(offset => offset !== 101 || isWell || scenario.delivered !== undefined)
  assert.deepEqual(scenario.event === undefined ? [...new Set(taken)].toSorted((a, b) => a - b) : taken, delivered)
}

const rows = readTable()

test('the guide’s table and the ways to its rows are the same list', () => {
  assert.deepEqual(
    rows.map(row => row.title),
    Object.keys(SCENARIOS)
  )
})

for (const row of rows) {
  test(`bad input: ${row.title}`, async t => {
    for (const scenario of [SCENARIOS[row.title] ?? []].flat()) {
      if (row.json !== '') await walk(t, { row, scenario, format: 'json' })
      if (row.esm !== '') await walk(t, { row, scenario, format: 'esm' })
    }
  })
}
