/**
 * The same with @platformatic/kafka: `send` of 1,024 records, five at a time, idempotent.
 * Arguments: bootstrap, topic, records, rate, keyed, compression.
 */

import { Producer, ProduceAcks } from '@platformatic/kafka'

import { readArguments } from '../../support/arguments.ts'
import { Latencies, paced } from './pace.ts'
import { startAppendUsage } from './usage.ts'
import { makeValues, VALUE_COUNT } from './values.ts'

const argument = readArguments()
const topic = argument('topic')
const records = Number(argument('records'))
const isKeyed = argument('keyed') === 'true'
const values = makeValues()
const list = Array.from({ length: VALUE_COUNT }, (_, row) => {
  return values.lines.subarray(values.spans[row * 2], values.spans[row * 2 + 1])
})
const producer = new Producer({
  clientId: 'bench-platformatic',
  bootstrapBrokers: [argument('bootstrap')],
  idempotent: true,
  acks: ProduceAcks.ALL,
  ...(argument('compression') === 'none' ? {} : { compression: argument('compression') as 'gzip' })
})
const latencies = new Latencies()
const finish = startAppendUsage(latencies)
const open = new Set<Promise<void>>()
await paced(records, Number(argument('rate')), async (from, count) => {
  const startMs = performance.now()
  const messages = Array.from({ length: count }, (_, index) => {
    const row = (from + index) % VALUE_COUNT
    const value = list[row] ?? Buffer.alloc(0)
    return isKeyed ? { topic, key: values.keys[row] ?? Buffer.alloc(0), value } : { topic, value }
  })
  const sent = producer.send({ messages }).then(() => {
    latencies.add(performance.now() - startMs, count)
    open.delete(sent)
  })
  open.add(sent)
  if (open.size >= 5) await Promise.race(open)
})
await Promise.all(open)
finish(records)
await producer.close()
