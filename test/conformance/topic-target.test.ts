/** Topic targets: what is written and committed, at least once and exactly once; what becomes of records that fail. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { TopicInput } from '../../src/targets/index.ts'
import { numbered } from './dispatch-support.ts'
import { assertExactlyOnce, counted, TopicBench } from './exactly-once-support.ts'

for (const isExactlyOnce of [false, true]) {
  const name = isExactlyOnce ? 'exactly once' : 'at least once'

  test(`${name}: without a module records are copied as they are, whatever their bytes`, async t => {
    const topics = await TopicBench.open(t, { partitionCount: 2 })
    const headers = [{ key: 'h', value: Buffer.from('1') }]
    const inputs = [{ key: 'a', value: 'not json', headers }, { key: 'b', value: '{"n":1}' }, { value: 'no key' }]
    await topics.bench.append(inputs)
    const dispatcher = await topics.dispatch(topics.target(undefined, isExactlyOnce))
    await topics.bench.untilDrained(2)
    await dispatcher.drain()

    const written = await topics.written()
    const texts = written.map(record => `${record.key} ${record.value} ${record.headers['h'] ?? ''}`.trim())
    assert.deepEqual(texts.sort(), ['a not json 1', 'b {"n":1}', 'null no key'])
    assert.equal(dispatcher.status().totals.records, 3)
  })

  test(`${name}: a module makes several records of one, or none, and says where they go`, async t => {
    const topics = await TopicBench.open(t)
    const other = topics.bench.given.uniqueName('other')
    await topics.bench.admin.createTopics([{ topic: other, partitionCount: 1 }])
    const transform = (records: readonly TopicInput[]) =>
      records.flatMap(record => {
        const { n } = record.json() as { n: number }
        if (n % 2 === 0) return []
        const copy = { key: record.key, value: { n, seen: true } }
        return n === 3 ? [copy, { ...copy, topic: other, value: Buffer.from('three') }] : [copy]
      })
    await topics.bench.append(numbered(6))
    const dispatcher = await topics.dispatch(topics.target(transform, isExactlyOnce))
    await topics.bench.untilDrained()
    await dispatcher.drain()

    const values = (await topics.written()).map(record => record.value)
    assert.deepEqual(values, ['{"n":1,"seen":true}', '{"n":3,"seen":true}', '{"n":5,"seen":true}'])
    assert.deepEqual(
      (await topics.written(other)).map(record => record.value),
      ['three']
    )
  })

  test(`${name}: a record that the module refuses is found and put aside, its neighbours pass in order`, async t => {
    const topics = await TopicBench.open(t)
    const transform = (records: readonly TopicInput[]) => {
      if (records.some(record => record.value?.toString() === '{"n":7}')) throw new RangeError('seven')
      return records
    }
    await topics.bench.append(numbered(12))
    const dispatcher = await topics.dispatch(topics.target(transform, isExactlyOnce))
    await topics.bench.untilDrained()

    const expected = numbered(12).filter((_, index) => index !== 7)
    assert.deepEqual(
      (await topics.written()).map(record => record.value),
      expected.map(({ value }) => value)
    )
    const [letter, ...more] = await topics.written(topics.bench.deadLetterTopic)
    assert.deepEqual(more, [])
    assert.equal(letter?.value, '{"n":7}')
    assert.equal(letter?.headers['comporta-error-class'], 'RangeError')
    assert.equal(letter?.headers['comporta-origin-offset'], '7')
    assert.equal(dispatcher.status().totals.deadLettered, 1)
    await dispatcher.drain()
  })

  test(`${name}: a record that is too large for the output is put aside alone`, async t => {
    const topics = await TopicBench.open(t, { configs: { 'max.message.bytes': '2000' } })
    const inputs = numbered(9)
    inputs[4] = { key: 'k', value: JSON.stringify({ n: 'x'.repeat(4000) }) }
    await topics.bench.append(inputs)
    const dispatcher = await topics.dispatch(topics.target(undefined, isExactlyOnce))
    await topics.bench.untilDrained()
    await dispatcher.drain()

    // At least once: what was written of a batch before it was found to hold such a record is written again.
    const values = (await topics.written()).map(record => record.value)
    assert.equal(new Set(values).size, 8)
    if (isExactlyOnce) assert.equal(values.length, 8)
    const [letter] = await topics.written(topics.bench.deadLetterTopic)
    assert.equal(letter?.headers['comporta-error-class'], 'PayloadTooLarge')
    assert.equal(letter?.headers['comporta-origin-offset'], '4')
  })

  test(`${name}: records go where a header or a field says, else to the topic`, async t => {
    const topics = await TopicBench.open(t)
    const other = topics.bench.given.uniqueName('other')
    await topics.bench.admin.createTopics([{ topic: other, partitionCount: 1 }])
    const route = { topic: topics.output, topicFrom: { header: 'to', field: 'to.topic' } }
    await topics.bench.append([
      { value: '{"to":{"topic":"nowhere"}}', headers: [{ key: 'to', value: Buffer.from(other) }] },
      { value: JSON.stringify({ to: { topic: other } }) },
      { value: '{"to":5}' },
      { value: 'plain' },
      { value: '{"to":{"topic":"does-not-exist"}}' },
      { value: '{"to":{"topic":"not a topic"}}' }
    ])
    const dispatcher = await topics.dispatch(topics.target(undefined, isExactlyOnce, route))
    await topics.bench.untilDrained()
    await dispatcher.drain()

    assert.equal((await topics.written(other)).length, 2)
    assert.deepEqual(
      (await topics.written()).map(record => record.value),
      ['{"to":5}', 'plain']
    )
    const letters = await topics.written(topics.bench.deadLetterTopic)
    const classes = letters.map(letter => letter.headers['comporta-error-class'])
    assert.deepEqual(classes, ['UnknownTopic', 'NoTopic'])
  })

  test(`${name}: what a module returns that is no list of records is refused, not dropped`, async t => {
    const topics = await TopicBench.open(t)
    const transform = (() => undefined) as never
    await topics.bench.append(numbered(1))
    const dispatcher = await topics.dispatch(topics.target(transform, isExactlyOnce))
    await topics.bench.untilDrained()
    await dispatcher.drain()

    const [letter] = await topics.written(topics.bench.deadLetterTopic)
    assert.equal(letter?.headers['comporta-error-class'], 'InvalidReply')
  })
}

test('exactly once: a dead letter too large for its topic becomes a reference, the others stay whole', async t => {
  const topics = await TopicBench.open(t)
  const deadLetterTopic = topics.bench.given.uniqueName('small')
  const configs = { 'max.message.bytes': '2500' }
  await topics.bench.admin.createTopics([{ topic: deadLetterTopic, partitionCount: 1, configs }])
  const inputs = numbered(4)
  inputs[2] = { key: 'large', value: JSON.stringify({ n: 'x'.repeat(5000) }) }
  await topics.bench.append(inputs)
  const refuse = () => {
    throw new RangeError('none of them')
  }
  const retry = { ...topics.config().retry, attemptsMax: 1, bisect: false }
  const dispatcher = await topics.dispatch(topics.target(refuse), { deadLetterTopic, retry })
  await topics.bench.untilDrained()
  await dispatcher.drain()

  const letters = await topics.written(deadLetterTopic, 1)
  assert.deepEqual(
    letters.map(({ value }) => value),
    [inputs[0]?.value, inputs[1]?.value, null, inputs[3]?.value]
  )
  const bytes = letters.map(({ headers }) => headers['comporta-value-bytes'])
  assert.deepEqual(bytes, [undefined, undefined, '5008', undefined])
})

test('exactly once: batches of several partitions are written and committed together with their offsets', async t => {
  const topics = await TopicBench.open(t, { partitionCount: 3 })
  await topics.bench.append(counted(12, 20))
  const dispatcher = await topics.dispatch(topics.target())
  await topics.bench.untilDrained(3)
  await dispatcher.drain()

  assertExactlyOnce(await topics.written(), 12, 20)
})

test('exactly once: records of aborted transactions are not delivered, and the offset passes them', async t => {
  const { TransactionalAppender } = await import('../../src/client/index.ts')
  const topics = await TopicBench.open(t)
  const { cluster, topic, given } = topics.bench
  const producer = new TransactionalAppender({ cluster, transactionalId: given.uniqueName('txn') })
  t.after(() => producer.close())
  await producer.start()
  for (const value of ['a', 'aborted', 'b']) {
    producer.begin()
    producer.append({ topic, key: null, value: Buffer.from(value) })
    if (value === 'aborted') await producer.abortTransaction()
    else await producer.commitTransaction()
  }
  const dispatcher = await topics.dispatch(topics.target())
  await topics.bench.untilDrained()
  await dispatcher.drain()

  assert.deepEqual(
    (await topics.written()).map(record => record.value),
    ['a', 'b']
  )
})
