/** Records through the console: found in both directions, shown harmlessly, hidden where they must be. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'

import type { FastifyReply } from 'fastify'

import { startBroker } from '../../src/broker/index.ts'
import { Cluster } from '../../src/client/index.ts'
import type { DeadLetters, RecordAnswer, RecordsAnswer, ShownRecord } from '../../src/console/api/records.ts'
import { openEventStream } from '../../src/console/records/event-stream.ts'
import { addRecordRoutes } from '../../src/console/records/record-routes.ts'
import { exportText } from '../../src/console/records/export-records.ts'
import { shownBytes } from '../../src/console/records/shown-record.ts'
import { messageOf, PipelineError } from '../../src/core/index.ts'
import { append, Area, operator } from './console-support.ts'

const START_MS = 1_700_000_000_000
const COUNT = 150

let area: Area
let close: () => Promise<void>

before(async () => {
  const broker = await startBroker()
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  area = new Area([addRecordRoutes], cluster, { undoFolder: '/nowhere' })
  area.app.setErrorHandler((error, _request, reply) => {
    const code = PipelineError.is(error) ? error.code : 'OTHER'
    void reply.status(code === 'OTHER' ? 500 : 400).send({ code, message: messageOf(error) })
  })
  close = async () => {
    area.close()
    await area.app.close()
    await cluster.close()
    await broker.close()
  }
  await area.admin.createTopics([
    { topic: 'orders', partitionCount: 3 },
    { topic: 'odd', partitionCount: 1 },
    { topic: 'dead-letters', partitionCount: 2 }
  ])
  await append(
    cluster,
    Array.from({ length: COUNT }, (_, n) => ({
      topic: 'orders',
      partition: n % 3,
      key: Buffer.from(`k${n % 7}`),
      value: Buffer.from(`{"n":${n},"plate":"AB-${n % 50}"}`),
      headers: [{ key: 'trace', value: Buffer.from(`t-${n}`) }],
      timestampMs: START_MS + n * 1000
    }))
  )
})

after(async () => await close())

async function get<T>(path: string, caller = operator): Promise<T> {
  area.caller = caller
  const response = await area.app.inject({ url: path })
  if (response.statusCode === 200) return response.json<T>()
  const { code, message } = response.json<{ code: string; message: string }>()
  throw Object.assign(new Error(message), { code })
}

const numbers = ({ records }: RecordsAnswer): number[] =>
  records.map(({ value }) => (JSON.parse(value?.text ?? '{}') as { n: number }).n)

/** All pages of a query. */
async function pages(path: string): Promise<number[]> {
  const found: number[] = []
  let next: string | null = ''
  for (let page = 0; next !== null && page < 100; page += 1) {
    const answer: RecordsAnswer = await get<RecordsAnswer>(next === '' ? path : `${path}&next=${next}`)
    found.push(...numbers(answer))
    next = answer.next
  }
  return found
}

const newestFirst = Array.from({ length: COUNT }, (_, n) => COUNT - 1 - n)

test('the newest come first, and those before them on the next pages, each once', async () => {
  const answer = await get<RecordsAnswer>('/api/records?topic=orders&limit=7')
  assert.deepEqual(numbers(answer), newestFirst.slice(0, 7))
  assert.deepEqual([answer.order, answer.isComplete], ['newestFirst', false])
  assert.deepEqual(await pages('/api/records?topic=orders&limit=40'), newestFirst)
  const ofOne = newestFirst.filter(n => n % 3 === 1)
  assert.deepEqual(await pages('/api/records?topic=orders&limit=30&partition=1'), ofOne)
})

test('from the beginning, a time or an offset on the oldest come first', async () => {
  const oldestFirst = newestFirst.toReversed()
  assert.deepEqual(await pages('/api/records?topic=orders&from=earliest&limit=37'), oldestFirst)
  const [from, to] = [START_MS + 50_000, START_MS + 60_000]
  assert.deepEqual(
    await pages(`/api/records?topic=orders&fromMs=${from}&toMs=${to}&limit=4`),
    oldestFirst.slice(50, 60)
  )
  const answer = await get<RecordsAnswer>('/api/records?topic=orders&from=offset&fromOffset=40&partition=2&limit=500')
  assert.deepEqual(
    answer.records.map(({ offset }) => Number(offset)),
    [40, 41, 42, 43, 44, 45, 46, 47, 48, 49]
  )
})

test('a search looks in keys, values and headers, and goes on where it stopped', async () => {
  const wanted = newestFirst.filter(n => n % 50 === 17)
  assert.deepEqual(await pages('/api/records?topic=orders&find=AB-17%22&limit=2'), wanted)
  assert.deepEqual(await pages('/api/records?topic=orders&from=earliest&find=AB-17%22&limit=2'), wanted.toReversed())
  assert.deepEqual(await pages('/api/records?topic=orders&find=t-123&findIn=header:trace'), [123])
  assert.deepEqual(await pages('/api/records?topic=orders&find=t-123&findIn=value'), [])
  assert.deepEqual(
    await pages('/api/records?topic=orders&find=ab-1[78]%22&isPattern=true&isCaseIgnored=true&limit=500'),
    newestFirst.filter(n => n % 50 === 17 || n % 50 === 18)
  )
})

test('hostile queries are refused with the name of what is wrong, and read nothing', async () => {
  const wrong = [
    ['topic=..%2Fetc', /topic/],
    ['', /topic is needed/],
    ['topic=orders&limit=501', /limit/],
    ['topic=orders&limit=-1', /limit/],
    ['topic=orders&partition=1e3', /partition/],
    ['topic=orders&from=datetime', /fromMs/],
    ['topic=orders&from=yesterday', /from/],
    ['topic=orders&shape=exe', /shape/],
    ['topic=orders&findIn=all', /findIn/],
    ['topic=orders&next=AAAA', /next/],
    [`topic=orders&find=${'x'.repeat(3000)}`, /find/]
  ] as const
  for (const [query, message] of wrong) {
    await assert.rejects(get(`/api/records?${query}`), { code: 'ERR_CONSOLE_REQUEST', message }, query)
  }
  const pattern = encodeURIComponent('(a+)+$'.repeat(400))
  await assert.rejects(get(`/api/records?topic=orders&isPattern=true&find=${pattern}`))
  await assert.rejects(get('/api/records?topic=orders&isPattern=true&find=(%3F%3D'), { code: 'ERR_OPS_QUERY_INVALID' })
  await assert.rejects(get('/api/records?topic=none'), { code: 'ERR_OPS_NOT_FOUND' })
  await assert.rejects(get('/api/records?topic=orders&partition=9'), { code: 'ERR_OPS_NOT_FOUND' })
})

test('bytes are shown as what they are, cut between characters', () => {
  const shown = (bytes: Buffer, shape: 'auto' | 'json' | 'text' | 'hex' | 'base64' = 'auto', most = 100): unknown => {
    const { shape: as, text, isCut } = shownBytes(bytes, shape, most) ?? {}
    return [as, text, isCut]
  }
  assert.deepEqual(shown(Buffer.from(' {"a":1}')), ['json', ' {"a":1}', false])
  assert.deepEqual(shown(Buffer.from('12345678901234567890')), ['json', '12345678901234567890', false])
  assert.deepEqual(shown(Buffer.from('{"a":')), ['text', '{"a":', false])
  assert.deepEqual(shown(Buffer.from('naïve'), 'text', 3), ['text', 'na', true])
  assert.deepEqual(shown(Buffer.from([0, 1, 0xff])), ['hex', '00 01 ff', false])
  assert.deepEqual(shown(Buffer.from([0xff, 0xfe]), 'text'), ['hex', 'ff fe', false])
  assert.deepEqual(shown(Buffer.alloc(17, 0xab), 'hex'), ['hex', `${'ab '.repeat(16).trimEnd()}\nab`, false])
  assert.deepEqual(shown(Buffer.from('ab'), 'base64'), ['base64', 'YWI=', false])
  assert.equal(shownBytes(null, 'auto', 10), null)
})

test('a spreadsheet finds no formula in a file, and a terminal no command', () => {
  const record = (key: string, value: string): ShownRecord => ({
    topic: 'odd',
    partition: 0,
    offset: '1',
    timestampMs: 0,
    timestampType: 'create',
    key: { shape: 'text', text: key, byteLength: 1, isCut: false },
    value: { shape: 'text', text: value, byteLength: 1, isCut: false },
    headers: [],
    headerCount: 0
  })
  const hostile = [
    record('=cmd|/c calc', '@SUM(A1)'),
    record('-5', 'a,"b"\n\u001b[31m\u202e\u009b'),
    record('\t=1', '+1')
  ]
  const [, ...lines] = exportText(hostile, 'csv').split('\r\n')
  assert.deepEqual(lines, [
    "odd,0,1,1970-01-01T00:00:00.000Z,'=cmd|/c calc,'@SUM(A1),",
    'odd,0,1,1970-01-01T00:00:00.000Z,-5,"a,""b""\\n\\e[31m\\u202e\\u009b",',
    "odd,0,1,1970-01-01T00:00:00.000Z,\\t=1,'+1,",
    ''
  ])
  const json = exportText(hostile, 'ndjson')
  assert.doesNotMatch(json.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
  assert.deepEqual(JSON.parse(json.split('\n')[1] ?? ''), hostile[1])
})

test('who is masked sees no content, searches in none and downloads none; who reads is written down', async () => {
  const masked = { ...operator, isMasked: true, isExportAllowed: false }
  const { records } = await get<RecordsAnswer>('/api/records?topic=orders&limit=2', masked)
  assert.doesNotMatch(JSON.stringify(records), /plate|k\d|t-\d/)
  assert.equal(records.length, 2)
  for (const part of ['any', 'key', 'value', 'headers', 'header:trace']) {
    const path = `/api/records?topic=orders&find=a&findIn=${part}`
    await assert.rejects(get(path, masked), { code: 'ERR_CONSOLE_FORBIDDEN' }, part)
    await assert.rejects(get(path.replace('records', 'records/tail'), masked), { code: 'ERR_CONSOLE_FORBIDDEN' }, part)
  }
  for (const path of ['records/export?topic=orders', 'record/bytes?topic=orders&partition=0&offset=1']) {
    await assert.rejects(get(`/api/${path}`, masked), { code: 'ERR_CONSOLE_FORBIDDEN' })
  }
  const bytes = '/api/record/bytes?topic=orders&partition=0&offset=1&part=value'
  await assert.rejects(get(bytes, { ...masked, isExportAllowed: true }), { code: 'ERR_CONSOLE_FORBIDDEN' })
  area.audit.length = 0
  await get('/api/records?topic=orders&find=secret-plate')
  await get('/api/records/export?topic=orders&format=ndjson&limit=1')
  assert.deepEqual(
    area.audit.map(({ action, subject, detail }) => [action, subject, detail]),
    [
      ['records.read', 'topic orders', 'from latest, with a search'],
      ['records.export', 'topic orders', 'from latest']
    ]
  )
})

test('a single record comes whole, as it is, and by its bytes', async () => {
  const long = 'x'.repeat(20_000)
  await append(area.cluster, [{ topic: 'odd', key: null, value: Buffer.from(JSON.stringify({ long })) }])
  const { records } = await get<RecordsAnswer>('/api/records?topic=odd')
  assert.deepEqual([records[0]?.value?.isCut, records[0]?.value?.byteLength, records[0]?.key], [true, 20_011, null])
  const { record, letter } = await get<RecordAnswer>('/api/record?topic=odd&partition=0&offset=0')
  assert.deepEqual([record.value?.isCut, record.value?.shape, letter], [false, 'json', null])
  area.caller = operator
  const raw = await area.app.inject({ url: '/api/record/bytes?topic=odd&partition=0&offset=0&part=value' })
  assert.equal(raw.body, JSON.stringify({ long }))
  assert.match(String(raw.headers['content-disposition']), /^attachment; filename="odd-0-0.value.bin"$/)
  assert.equal(raw.headers['x-content-type-options'], 'nosniff')
  await assert.rejects(get('/api/record?topic=odd&partition=0&offset=77'), { code: 'ERR_OPS_NOT_FOUND' })
})

function letterHeaders(errorClass: string, origin: number): { key: string; value: Buffer }[] {
  const block = {
    'comporta-origin-topic': 'orders',
    'comporta-origin-partition': '1',
    'comporta-origin-offset': String(origin),
    'comporta-origin-timestamp': String(START_MS),
    'comporta-error-class': errorClass,
    'comporta-error-reason': 'no \u001b[31mtruck',
    'comporta-attempts': '3',
    'comporta-group': 'billing',
    'comporta-first-failure-ms': '1',
    'comporta-last-failure-ms': '2'
  }
  return Object.entries(block).map(([key, value]) => ({ key, value: Buffer.from(value) }))
}

test('dead letters are taken apart, counted by class, chosen and paged', async () => {
  await append(
    area.cluster,
    Array.from({ length: 12 }, (_, n) => ({
      topic: 'dead-letters',
      partition: n % 2,
      key: Buffer.from(`k${n}`),
      value: Buffer.from(`{"n":${n}}`),
      headers: letterHeaders(n % 3 === 0 ? 'Timeout' : 'Http400', n),
      timestampMs: START_MS + n
    }))
  )
  const all = await get<DeadLetters>('/api/dead-letters?topic=dead-letters&limit=5')
  assert.deepEqual(all.classes, [
    { class: 'Http400', count: 8 },
    { class: 'Timeout', count: 4 }
  ])
  assert.deepEqual(
    [all.letters.total, all.looked, all.isComplete, all.origins],
    [12, 12, true, [{ topic: 'orders', count: 12 }]]
  )
  const [first] = all.letters.rows
  assert.deepEqual(
    [first?.class, first?.originPartition, first?.originOffset, first?.attempts, first?.group, first?.reason],
    ['Http400', 1, '11', 3, 'billing', 'no \\e[31mtruck']
  )
  const timeouts = await get<DeadLetters>('/api/dead-letters?topic=dead-letters&class=Timeout&offset=2')
  assert.deepEqual(
    timeouts.letters.rows.map(({ originOffset }) => originOffset),
    ['3', '0']
  )
  const found = await get<DeadLetters>('/api/dead-letters?topic=dead-letters&find=k7&findIn=key')
  assert.deepEqual([found.letters.total, found.letters.rows[0]?.originOffset], [1, '7'])
  // What is hidden of the topic that a letter came from is hidden of the letter.
  const masks = [{ topics: ['orders'], key: false, value: true, headers: false, fields: [] }]
  const hidden = await get<DeadLetters>('/api/dead-letters?topic=dead-letters', { ...operator, isMasked: true, masks })
  assert.deepEqual([hidden.letters.rows[0]?.record.value?.shape, hidden.letters.rows[0]?.reason], ['masked', '•••'])
  await assert.rejects(get('/api/dead-letters?topic=dead-letters&find=k7', { ...operator, isMasked: true, masks }), {
    code: 'ERR_CONSOLE_FORBIDDEN'
  })
})

// Symptom: the list of records, its file, the tail and the header of the reason showed of a dead letter what the page
// of dead letters hides. Cause: only that page asked where the record came from. Reach: everybody who may read.
test('what is hidden of a topic is hidden of its dead letters wherever they are shown', async () => {
  const masks = [{ topics: ['orders'], key: false, value: true, headers: false, fields: [] }]
  const vera = { ...operator, isMasked: true, masks }
  await append(area.cluster, [
    { topic: 'odd', key: null, value: Buffer.from('of nobody 3111') },
    { topic: 'odd', key: null, value: Buffer.from('of an order 3111'), headers: letterHeaders('Timeout', 1) }
  ])
  area.caller = vera
  for (const path of [
    'records?topic=dead-letters&limit=500',
    'records/export?topic=dead-letters&format=csv',
    'record?topic=dead-letters&partition=0&offset=0',
    'dead-letters?topic=dead-letters'
  ]) {
    const { body, statusCode } = await area.app.inject({ url: `/api/${path}` })
    assert.equal(statusCode, 200, path)
    assert.doesNotMatch(body, /truck|6e 6f 20 1b|\bn\\*":/, path)
  }
  const reason = '/api/record/bytes?topic=dead-letters&partition=0&offset=0&part=header:comporta-error-reason'
  await assert.rejects(get(reason, vera), { code: 'ERR_CONSOLE_FORBIDDEN' })
  const none = await get<RecordsAnswer>('/api/records?topic=dead-letters&find=7', vera)
  assert.deepEqual(none.records, [])
  const found = await get<RecordsAnswer>('/api/records?topic=odd&find=3111', vera)
  assert.deepEqual(
    found.records.map(({ value }) => value?.text),
    ['of nobody 3111']
  )
})

// Symptom: records were read without a line in the audit log. Cause: who goes on where a page ended was taken for
// somebody whose first page is noted. Reach: anybody who may read, with a `next` of their own making.
test('who goes on reading where nobody began is written down as well', async () => {
  area.audit.length = 0
  const next = Buffer.from('0:2').toString('base64url')
  await get(`/api/records?topic=orders&from=earliest&next=${next}`, { ...operator, sessionId: 'a new one' })
  await area.app.inject({ url: `/api/records/export?topic=orders&from=earliest&next=${next}` })
  await area.app.inject({ url: `/api/records/export?topic=orders&from=earliest&next=${next}` })
  assert.deepEqual(
    area.audit.map(({ action }) => action),
    ['records.read', 'records.export']
  )
})

// Symptom: twelve quick readers left, and nobody had a tail for half an hour. Cause: `close` is told once, and was
// before anybody listened. Reach: a browser that goes away while the ends of the partitions are asked for.
test('a stream to a browser that has left before it began is over at once', async t => {
  const left = Promise.withResolvers<boolean>()
  const server = createServer((_request, raw) => {
    raw.once('close', () => {
      const reply = { getHeaders: () => ({}), hijack: () => undefined, raw } as unknown as FastifyReply
      setImmediate(() => left.resolve(openEventStream(reply).gone.aborted))
    })
    leave.abort()
  })
  const leave = new AbortController()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  await fetch(`http://127.0.0.1:${port}/`, { signal: leave.signal }).catch(() => undefined)
  assert.equal(await left.promise, true)
})

test('a tail shows new records that match as they come, and ends with the browser', async () => {
  area.caller = operator
  await area.app.listen({ port: 0, host: '127.0.0.1' })
  const address = area.app.server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const leave = new AbortController()
  const url = `http://127.0.0.1:${address.port}/api/records/tail?topic=odd&find=wanted`
  const response = await fetch(url, { signal: leave.signal })
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  await append(
    area.cluster,
    ['wanted 1', 'other', 'wanted 2'].map(value => ({ topic: 'odd', key: null, value: Buffer.from(value) }))
  )
  let text = ''
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  while (!text.includes('wanted 2')) text += (await reader?.read())?.value ?? ''
  assert.match(text, /event: records\ndata: \{"records":\[\{"topic":"odd"/)
  assert.doesNotMatch(text, /other/)
  leave.abort()
})
