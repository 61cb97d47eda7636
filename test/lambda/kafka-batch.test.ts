/** `kafkaBatch`: what a handler sees, what its words mean in both events, and what becomes of what is not reached. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { Logger } from '@aws-lambda-powertools/logger'
import { z } from 'zod'

import { PipelineError, VirtualClock } from '../../src/core/index.ts'
import {
  type ComportaResponse,
  DeadLetterRecord,
  kafkaBatch,
  type KafkaBatchLogger,
  type KafkaRecord,
  RecordOutcome,
  RetryRecord,
  SkipRecord
} from '../../src/lambda/function.ts'
import type { GuardedPartition } from '../../src/lambda/idempotency/batch-guard.ts'
import { readReply } from '../../src/targets/index.ts'
import { contextWith } from './support.ts'

const PLENTY = contextWith(60_000)
const quiet: KafkaBatchLogger = { warn: () => undefined }

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

interface Given {
  readonly key?: string
  readonly value?: string | null
  readonly headers?: object[]
}

interface AwsEvent {
  readonly eventSource: string
  readonly bootstrapServers: string
  readonly records: Record<string, object[]>
}

/** AWS's event of one partition; offsets count from 10. */
function awsEvent(records: readonly Given[], partition = 0): AwsEvent {
  const list = records.map(({ key, value = '{}', headers = [] }, index) => ({
    topic: 'orders',
    partition,
    offset: 10 + index,
    timestamp: 1545084650987,
    timestampType: 'CREATE_TIME',
    ...(key === undefined ? {} : { key: base64(key) }),
    ...(value === null ? {} : { value: base64(value) }),
    headers
  }))
  return { eventSource: 'SelfManagedKafka', bootstrapServers: 'b:9092', records: { [`orders-${partition}`]: list } }
}

/** Comporta's payload of the same records. */
function ourEvent(records: readonly Given[]): object {
  return {
    topic: 'orders',
    partition: 0,
    messages: records.map(({ value = '{}' }) => (value === null ? null : JSON.parse(value))),
    offsets: records.map((_, index) => 10 + index),
    timestamps: records.map(() => 1545084650987),
    keys: records.map(({ key }) => key ?? null),
    headers: records.map(({ headers }) => headers ?? [])
  }
}

function resumeAt(offset: number, partition = 'orders-0'): object {
  return { batchItemFailures: [{ itemIdentifier: { partition, offset } }] }
}

test('a handler sees the same record in both events', async () => {
  const value = '{"truck":"TR00017","speed":82}'
  const headers = { aws: [{ h: [49] }, { g: [-61, -87] }, { h: [50] }], ours: [{ h: '1' }, { g: 'é' }, { h: '2' }] }
  for (const event of [
    awsEvent([{ key: 'TR00017', value, headers: headers.aws }]),
    ourEvent([{ key: 'TR00017', value, headers: headers.ours }])
  ]) {
    const seen: KafkaRecord[] = []
    await kafkaBatch(record => void seen.push(record))(event, PLENTY)
    const [record] = seen
    assert.ok(record)
    assert.equal(record.id, 'orders-0-10')
    assert.deepEqual([record.topic, record.partition, record.offset], ['orders', 0, 10])
    assert.equal(record.timestamp, 1545084650987)
    assert.equal(record.key?.text(), 'TR00017')
    assert.deepEqual(record.value?.json(), { truck: 'TR00017', speed: 82 })
    assert.deepEqual(record.data, { truck: 'TR00017', speed: 82 })
    assert.deepEqual(record.value?.bytes(), Buffer.from(value))
    assert.equal(record.headers.text('g'), 'é')
    assert.deepEqual(record.headers.get('h'), Buffer.from('2'))
    assert.deepEqual(record.headers.all('h'), [Buffer.from('1'), Buffer.from('2')])
    assert.equal(record.headers.get('none'), undefined)
    assert.deepEqual(
      [...record.headers].map(header => header.name),
      ['h', 'g', 'h']
    )
    assert.equal(JSON.stringify(record), '{"topic":"orders","partition":0,"offset":10}')
  }
})

test('a tombstone has no value, a record without a key no key', async () => {
  for (const event of [awsEvent([{ value: null }]), ourEvent([{ value: null }])]) {
    const seen: unknown[] = []
    await kafkaBatch(({ key, value, data }) => void seen.push(key, value, data))(event, PLENTY)
    assert.deepEqual(seen, [null, null, null])
  }
})

test('what is done is answered with nothing, in the form of the event', async () => {
  const handle = kafkaBatch(() => undefined)
  assert.deepEqual(await handle(awsEvent([{}, {}]), PLENTY), { batchItemFailures: [] })
  assert.deepEqual(await handle(ourEvent([{}, {}]), PLENTY), {})
  assert.deepEqual(await handle({ eventSource: 'aws:kafka', records: {} }, PLENTY), { batchItemFailures: [] })
  await assert.rejects(handle({ Records: [] }, PLENTY), { code: 'ERR_LAMBDA_EVENT_UNRECOGNISED' })
})

/** Handles a record by the word in its value. */
function wordHandler(seen: number[]): (record: KafkaRecord) => void {
  const errors: Record<string, unknown> = {
    retry: new RetryRecord('locked', { retryAfterMs: 250 }),
    down: new RetryRecord('no database', { unavailable: true }),
    dead: new DeadLetterRecord('no such truck'),
    skip: new SkipRecord('too old'),
    error: new Error('broken\n    with more lines')
  }
  return record => {
    seen.push(record.offset)
    const word = String(record.data)
    if (word in errors) throw errors[word]
  }
}

const words = (...list: string[]): Given[] => list.map(word => ({ value: JSON.stringify(word) }))

test('Comporta’s payload: each word is answered for its record, and what comes behind a retry waits', async () => {
  const seen: number[] = []
  const handle = kafkaBatch(wordHandler(seen), { logger: quiet })
  const behind = { action: 'retry', unavailable: true }
  const wait = (offset: number): string => `waits behind offset ${offset}, which must come again`

  assert.deepEqual(await handle(ourEvent(words('ok', 'dead', 'skip', 'retry', 'ok')), PLENTY), {
    failures: [
      { offset: 11, action: 'deadLetter', reason: 'no such truck' },
      { offset: 12, action: 'skip', reason: 'too old' },
      { offset: 13, action: 'retry', reason: 'locked', retryAfterMs: 250 },
      { offset: 14, ...behind, reason: wait(13) }
    ]
  })
  assert.deepEqual(seen, [10, 11, 12, 13])
  assert.deepEqual(await handle(ourEvent(words('error', 'ok')), PLENTY), {
    failures: [
      { offset: 10, action: 'retry', reason: 'broken' },
      { offset: 11, ...behind, reason: wait(10) }
    ]
  })
  assert.deepEqual(await handle(ourEvent(words('down')), PLENTY), {
    failures: [{ offset: 10, action: 'retry', reason: 'no database', unavailable: true }]
  })
})

test('the dispatcher understands the answer', async () => {
  const handle = kafkaBatch(wordHandler([]), { logger: quiet })
  const answer = await handle(ourEvent(words('dead', 'skip', 'down')), PLENTY)

  assert.deepEqual(readReply(answer, { topic: 'orders', partition: 0 }), {
    kind: 'partial',
    failures: [
      { offset: 10n, action: 'deadLetter', reason: 'no such truck' },
      { offset: 11n, action: 'skip', reason: 'too old' },
      { offset: 12n, action: 'retry', reason: 'no database', isUnavailable: true }
    ]
  })
})

test('AWS’s event: a retry and a dead letter are resume points, a skipped record is done', async () => {
  const seen: number[] = []
  const handle = kafkaBatch(wordHandler(seen), { logger: quiet })

  for (const word of ['retry', 'down', 'dead', 'error']) {
    assert.deepEqual(await handle(awsEvent(words('ok', word, 'ok')), PLENTY), resumeAt(11), word)
  }
  assert.ok(!seen.includes(12), 'what comes again anyway is not begun')
  assert.deepEqual(await handle(awsEvent(words('ok', 'skip', 'ok')), PLENTY), { batchItemFailures: [] })
})

test('AWS’s event: the option deadLetter takes what can never be handled, and its neighbours go on', async () => {
  const aside: string[] = []
  const seen: number[] = []
  const deadLetter = async (record: KafkaRecord, reason: string): Promise<void> => {
    if (aside.length === 1) throw new Error('queue is down')
    await nextTurn()
    aside.push(`${record.id}: ${reason}`)
  }
  const handle = kafkaBatch(wordHandler(seen), { deadLetter, logger: quiet })

  assert.deepEqual(await handle(awsEvent(words('dead', 'ok')), PLENTY), { batchItemFailures: [] })
  assert.deepEqual(aside, ['orders-0-10: no such truck'])
  assert.deepEqual(seen, [10, 11])
  assert.deepEqual(await handle(awsEvent(words('ok', 'dead')), PLENTY), resumeAt(11))
  // The dispatcher has a dead letter topic of its own.
  await handle(ourEvent(words('dead')), PLENTY)
  assert.equal(aside.length, 1)
})

test('by key, only later records of the key wait; a record without a key waits for none', async () => {
  const seen: string[] = []
  const handler = (record: KafkaRecord): void => {
    seen.push(`${record.key?.text() ?? '-'}${record.offset}`)
    if (record.offset === 10 || record.offset === 12) throw new Error('locked')
  }
  const records = [{ key: 'a' }, { key: 'b' }, {}, { key: 'a' }, { key: 'b' }, {}]
  const handle = kafkaBatch(handler, { order: 'key', logger: quiet })
  const answer = (await handle(ourEvent(records), PLENTY)) as ComportaResponse
  assert.deepEqual(
    answer.failures?.map(each => each.offset),
    [10, 12, 13]
  )
  assert.deepEqual(seen.toSorted(), ['-12', '-15', 'a10', 'b11', 'b14'])
})

test('by key with AWS’s event it resumes at the first that is not done, though later keys are', async () => {
  const seen: number[] = []
  const done = Promise.withResolvers<void>()
  const handler = async (record: KafkaRecord): Promise<void> => {
    seen.push(record.offset)
    if (record.offset === 11) done.resolve()
    if (record.offset !== 10) return
    await done.promise
    throw new Error('locked')
  }
  const handle = kafkaBatch(handler, { order: 'key', logger: quiet })
  assert.deepEqual(await handle(awsEvent([{ key: 'a' }, { key: 'b' }, { key: 'a' }]), PLENTY), resumeAt(10))
  assert.deepEqual(seen, [10, 11])
})

test('partitions are handled at the same time, no more than concurrency of them', async () => {
  let running = 0
  let most = 0
  const handler = async (): Promise<void> => {
    running += 1
    most = Math.max(most, running)
    await nextTurn()
    running -= 1
  }
  const records = Object.assign({}, ...[0, 1, 2, 3, 4].map(each => awsEvent([{}, {}, {}], each).records)) as object
  for (const [concurrency, expected] of [
    [1, 1],
    [3, 3],
    [10, 5]
  ] as const) {
    most = 0
    await kafkaBatch(handler, { concurrency })({ records }, PLENTY)
    assert.equal(most, expected)
  }
})

const Position = z.object({ truck: z.string(), speed: z.number().max(200) })

test('a schema makes the data; what is not as it says is dead-lettered by its place, not by its value', async () => {
  const speeds: number[] = []
  const handle = kafkaBatch(record => void speeds.push(record.data.speed), { schema: Position, logger: quiet })
  const records = [
    { value: '{"truck":"a","speed":82}' },
    { value: '{"truck":"secret"}' },
    { value: '{"truck":"b","speed":9}' }
  ]
  const { failures } = (await handle(ourEvent(records), PLENTY)) as ComportaResponse

  assert.deepEqual(speeds, [82, 9])
  assert.equal(failures?.length, 1)
  assert.equal(failures?.[0]?.action, 'deadLetter')
  assert.match(failures?.[0]?.reason ?? '', /^the value is not as the schema says: speed: /)
  assert.doesNotMatch(failures?.[0]?.reason ?? '', /secret/)
})

test('what is invalid can also be tried again or skipped; a schema may take tombstones, and its time', async () => {
  const bad = [{ value: '{}' }, { value: null }, { value: '1' }]
  const slow = z
    .number()
    .nullable()
    .refine(async () => nextTurn().then(() => true))
  const actions = async (onInvalid: 'retry' | 'skip' | 'deadLetter'): Promise<unknown> => {
    const handle = kafkaBatch(() => undefined, { schema: slow, onInvalid, order: 'none', logger: quiet })
    const { failures } = (await handle(ourEvent(bad), PLENTY)) as ComportaResponse
    return failures?.map(each => [each.offset, each.action])
  }
  assert.deepEqual(await actions('retry'), [[10, 'retry']])
  assert.deepEqual(await actions('skip'), [[10, 'skip']])
  const broken = kafkaBatch(() => undefined, { schema: slow, logger: quiet })
  const spoiled = awsEvent([{ value: 'not json' }])
  assert.deepEqual(await broken(spoiled, PLENTY), resumeAt(10))
})

test('what cannot be read is dead-lettered by the handler that reads it, and only then', async () => {
  const handle = (read: (record: KafkaRecord) => unknown): Promise<unknown> => {
    const event = awsEvent([{ value: '{' }])
    Object.assign(event.records['orders-0']?.[0] ?? {}, { key: 'no base64!', headers: [{ h: [999] }] })
    return kafkaBatch(read, { logger: quiet, deadLetter: (_, reason) => reasons.push(reason) })(event, PLENTY)
  }
  const reasons: string[] = []
  for (const read of [
    (record: KafkaRecord) => record.data,
    (record: KafkaRecord) => record.key?.text(),
    (record: KafkaRecord) => record.headers.get('h')
  ]) {
    assert.deepEqual(await handle(read), { batchItemFailures: [] })
  }
  assert.deepEqual(reasons, [
    'the value of the record is not JSON',
    'the key of the record is not Base64',
    'the headers of the record cannot be read'
  ])
  await handle(record => record.value?.text())
  assert.equal(reasons.length, 3)
})

test('onError says what an error means, and an onError that fails means retry', async () => {
  const handle = (onError: 'skip' | ((error: unknown) => 'deadLetter')): Promise<unknown> =>
    kafkaBatch(
      () => {
        throw new TypeError('no')
      },
      { onError, logger: quiet }
    )(ourEvent([{}]), PLENTY)
  const actionOf = async (onError: Parameters<typeof handle>[0]): Promise<unknown> =>
    ((await handle(onError)) as ComportaResponse).failures?.[0]?.action

  assert.equal(await actionOf('skip'), 'skip')
  assert.equal(await actionOf(error => (error instanceof TypeError ? 'deadLetter' : 'deadLetter')), 'deadLetter')
  const failing = (): never => {
    throw new Error('oh')
  }
  assert.equal(await actionOf(failing), 'retry')
  assert.equal(await actionOf((() => 'nonsense') as never), 'retry')
})

test('the words of another copy of the package are understood', async () => {
  const foreign = Object.assign(new Error('locked'), {
    [Symbol.for('comporta.record-outcome')]: true,
    action: 'retry',
    retryAfterMs: 40,
    isUnavailable: true
  })
  assert.ok(RecordOutcome.is(foreign))
  const handle = kafkaBatch(() => Promise.reject(foreign), { onError: 'skip', logger: quiet })
  assert.deepEqual(await handle(ourEvent([{}]), PLENTY), {
    failures: [{ offset: 10, action: 'retry', reason: 'locked', retryAfterMs: 40, unavailable: true }]
  })
})

test('the answer leaves before the invocation ends, and names what was not done', async () => {
  const clock = new VirtualClock()
  const deadline = clock.now() + 3_000
  const context = { getRemainingTimeInMillis: () => deadline - clock.now() }
  let signal: AbortSignal | undefined
  const handle = kafkaBatch(
    async (record, _context, run) => {
      signal = run.signal
      assert.equal(run.timeLeftMs(), 2_600)
      if (record.offset === 11) await new Promise(() => undefined)
    },
    { clock, reserveMs: 400, logger: quiet }
  )
  const answer = handle(ourEvent([{}, {}, {}]), context)
  await clock.advance(2_599)
  assert.equal(signal?.aborted, false)
  await clock.advance(1)
  const reason = 'no time was left in the invocation'
  assert.deepEqual(await answer, {
    failures: [11, 12].map(offset => ({ offset, action: 'retry', reason, unavailable: true }))
  })
  assert.equal(signal?.aborted, true)
  assert.equal(clock.pendingCount, 0)
})

test('a handler that never lets go of the thread is stopped between two records', async () => {
  const clock = new VirtualClock()
  let leftMs = 1_000
  const context = { getRemainingTimeInMillis: () => leftMs }
  const handle = kafkaBatch(() => void (leftMs -= 300), { clock, logger: quiet })
  const { failures } = (await handle(ourEvent([{}, {}, {}, {}]), context)) as ComportaResponse
  assert.deepEqual(
    failures?.map(each => each.offset),
    [12, 13]
  )
})

test('without partial responses the function fails as a whole when a record is not done', async () => {
  const handle = kafkaBatch(wordHandler([]), { partialResponses: false, logger: quiet })
  assert.deepEqual(await handle(awsEvent(words('ok', 'skip')), PLENTY), { batchItemFailures: [] })
  await assert.rejects(handle(awsEvent(words('ok', 'retry')), PLENTY), {
    code: 'ERR_LAMBDA_KAFKA_BATCH_INCOMPLETE',
    retriable: true,
    message: /offset 11 of orders-0/
  })
  assert.ok(((await handle(ourEvent(words('retry')), PLENTY)) as ComportaResponse).failures)
})

test('a handler of lists gets the records of a partition, and names those that failed', async () => {
  const lists: number[][] = []
  const handle = kafkaBatch(
    records => {
      lists.push(records.map(record => record.offset))
      return records.filter(each => each.data === 'bad').map(record => ({ record, error: new DeadLetterRecord('bad') }))
    },
    { batch: true, recordsMax: 3, logger: quiet }
  )
  assert.deepEqual(await handle(ourEvent(words('ok', 'bad', 'ok', 'ok')), PLENTY), {
    failures: [{ offset: 11, action: 'deadLetter', reason: 'bad' }]
  })
  assert.deepEqual(lists, [[10, 11, 12], [13]])
})

test('a list for which the handler throws is halved until the bad record is alone', async () => {
  const lists: number[][] = []
  const handler = (records: readonly KafkaRecord[]): void => {
    lists.push(records.map(record => record.offset))
    for (const record of records) if (record.data === 'bad') throw new DeadLetterRecord('no such truck')
  }
  const handle = kafkaBatch(handler, { batch: true, logger: quiet })
  assert.deepEqual(await handle(ourEvent(words('ok', 'ok', 'bad', 'ok')), PLENTY), {
    failures: [{ offset: 12, action: 'deadLetter', reason: 'no such truck' }]
  })
  assert.deepEqual(lists, [[10, 11, 12, 13], [10, 11], [12, 13], [12], [13]])

  // Without calls to spare nobody knows which it is: the dispatcher looks for it.
  const few = kafkaBatch(handler, { batch: true, bisectCallsMax: 0, logger: quiet })
  const { failures } = (await few(ourEvent(words('ok', 'bad')), PLENTY)) as ComportaResponse
  assert.deepEqual(
    failures?.map(each => [each.offset, each.action, each.unavailable, each.suspect]),
    [
      [10, 'retry', true, true],
      [11, 'retry', true, undefined]
    ]
  )
})

test('a wish of the whole list to come again is not looked into', async () => {
  let calls = 0
  const handle = kafkaBatch(
    () => {
      calls += 1
      throw new RetryRecord('no database', { unavailable: true, retryAfterMs: 500 })
    },
    { batch: true, order: 'none', logger: quiet }
  )
  const down = { action: 'retry', reason: 'no database', retryAfterMs: 500, unavailable: true }
  assert.deepEqual(await handle(ourEvent([{}, {}]), PLENTY), {
    failures: [
      { offset: 10, ...down },
      { offset: 11, ...down }
    ]
  })
  assert.equal(calls, 1)
})

test('an answer of a handler of lists that makes no sense is none', async () => {
  for (const answer of [7, [1], [{ record: {}, error: 'x' }], [{ offset: 10 }]]) {
    const handle = kafkaBatch((() => answer) as never, { batch: true, order: 'none', logger: quiet })
    const { failures } = (await handle(ourEvent([{}, {}]), PLENTY)) as ComportaResponse
    assert.deepEqual(
      failures?.map(each => each.action),
      ['retry', 'retry'],
      JSON.stringify(answer)
    )
  }
})

test('with a guard: a store that does not answer stops everything, one that fails at the end nothing', async () => {
  const failing = new PipelineError('ERR_LAMBDA_IDEMPOTENCY_STORE', 'table is throttled')
  let isDown = true
  let handled = 0
  const guard = {
    begin: () =>
      isDown
        ? Promise.reject(failing)
        : Promise.resolve({
            state: () => 'claimed' as const,
            heldForMs: () => 0,
            targetsDone: () => new Set<string>(),
            finish: () => Promise.reject(failing)
          }),
    close: () => Promise.resolve()
  }
  const handle = kafkaBatch(() => void (handled += 1), { guard, logger: quiet })
  const { failures } = (await handle(ourEvent([{}]), PLENTY)) as ComportaResponse
  assert.deepEqual(failures, [
    {
      offset: 10,
      action: 'retry',
      reason: 'the idempotency store does not answer: table is throttled',
      unavailable: true
    }
  ])
  assert.deepEqual(await handle(awsEvent([{}]), PLENTY), resumeAt(10))
  assert.equal(handled, 0)
  isDown = false
  assert.deepEqual(await handle(ourEvent([{}]), PLENTY), {})
  assert.equal(handled, 1)
})

test('AWS, which knows no pause, is answered when the record that another holds is nearly free', async () => {
  const clock = new VirtualClock()
  const held = { state: () => 'held' as const, heldForMs: () => 900, targetsDone: () => new Set<string>() }
  const guard = { begin: async () => ({ ...held, finish: async () => undefined }), close: async () => undefined }
  const handle = kafkaBatch(() => undefined, { guard, clock, logger: quiet })
  const answeredAt = async (event: unknown): Promise<number> => {
    const startMs = clock.monotonicMs()
    const answer = handle(event, PLENTY).then(() => clock.monotonicMs() - startMs)
    await clock.advance(1_000)
    return await answer
  }
  assert.equal(await answeredAt(awsEvent([{}])), 900)
  // Comporta's answer carries the time.
  assert.equal(await answeredAt(ourEvent([{}])), 0)
})

test('an id that is no text, or an empty one, is none: nobody is taken for somebody else', async () => {
  const given: (readonly (string | null)[] | undefined)[] = []
  const guard = {
    begin: (partitions: readonly GuardedPartition[]) => {
      given.push(...partitions.map(({ ids }) => ids))
      return Promise.reject(new Error('enough'))
    },
    close: async () => undefined
  }
  const ids: readonly unknown[] = ['a', '', undefined, 7]
  const idempotencyKey = ({ offset }: { offset: number }): string => ids[offset - 10] as string
  const handle = kafkaBatch(() => undefined, { guard, idempotencyKey, logger: quiet })
  await handle(ourEvent([{}, {}, {}, {}]), PLENTY)
  assert.deepEqual(given, [['a', null, null, null]])
})

test('failures are told to the logger, ten of an invocation and how many more', async () => {
  const lines: [string, Record<string, string | number>][] = []
  const logger = {
    warn: (message: string, fields: Record<string, string | number>) => void lines.push([message, fields])
  }
  const handle = kafkaBatch(wordHandler([]), { order: 'none', logger })
  await handle(ourEvent(Array.from({ length: 13 }, () => ({ value: '"dead"' }))), PLENTY)

  assert.equal(lines.length, 11)
  const [, fields] = lines[0] ?? []
  assert.deepEqual(fields, { topic: 'orders', partition: 0, offset: 10, action: 'deadLetter', reason: 'no such truck' })
  assert.deepEqual(lines[10]?.[1], { records: 3 })
})

test('Powertools: its Logger is the logger, and wrappers of handlers wrap the function', async t => {
  const out: string[] = []
  t.mock.method(console, 'warn', (line: string) => void out.push(line))
  t.mock.method(console, 'info', (line: string) => void out.push(line))
  process.env['POWERTOOLS_DEV'] = 'true' // lets the Logger use the console of the test
  t.after(() => delete process.env['POWERTOOLS_DEV'])
  const logger = new Logger({ serviceName: 'orders' })
  const inner = kafkaBatch(
    record => {
      logger.info('seen', { offset: record.offset })
      throw new RetryRecord('locked')
    },
    { logger }
  )
  const wrapped = async (event: unknown, context: typeof PLENTY): Promise<unknown> => {
    logger.appendKeys({ batch: 7 })
    return inner(event, context)
  }
  assert.deepEqual(await wrapped(awsEvent([{}]), PLENTY), resumeAt(10))
  const lines = out.splice(0).map(line => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    lines.map(line => [line['message'], line['offset'], line['reason'], line['batch'], line['service']]),
    [
      ['seen', 10, undefined, 7, 'orders'],
      ['a record is not simply done', 10, 'locked', 7, 'orders']
    ]
  )

  // The decorator of Powertools, as a class would use it.
  const method = { value: (event: unknown, context: object) => inner(event, context as typeof PLENTY) }
  logger.injectLambdaContext({ clearState: true })({} as never, 'handler', method as never)
  const context = { ...PLENTY, awsRequestId: 'r-1', functionName: 'orders', memoryLimitInMB: '128' }
  assert.deepEqual(await method.value.call({}, awsEvent([{}]), context), resumeAt(10))
  assert.match(
    out.join(''),
    /"function_request_id":"r-1"[^]*"a record is not simply done"|"a record is not simply done"/
  )
  assert.ok(out.every(line => line.includes('"r-1"')))
})

test('options that cannot work are refused, every problem at once', () => {
  const wrong = {
    schema: {},
    onInvalid: 'drop',
    onError: 'drop',
    order: 'topic',
    concurrency: 0,
    recordsMax: 1.5,
    reserveMs: -1,
    bisectCallsMax: -1,
    deadLetter: 'queue',
    idempotencyKey: 1,
    guard: {}
  }
  assert.throws(
    () => kafkaBatch('handler' as never, wrong as never),
    (error: unknown) => {
      assert.ok(PipelineError.is(error, 'ERR_LAMBDA_KAFKA_BATCH_OPTIONS_INVALID'))
      const names = (error.fields['problems'] as string[]).map(problem => problem.split(':')[0])
      assert.deepEqual(
        new Set(names),
        new Set([
          'bisectCallsMax',
          'concurrency',
          'deadLetter',
          'guard',
          'handler',
          'idempotencyKey',
          'onError',
          'onInvalid',
          'order',
          'recordsMax',
          'recordsMax',
          'reserveMs',
          'schema'
        ])
      )
      return true
    }
  )
})
