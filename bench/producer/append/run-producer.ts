/**
 * Publishes lines of JSON from a stream with the whole producer: parse, route, key, append.
 * Arguments: bootstrap, topic, records, rate, keyed, compression, linger, batch.
 */

import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'

import { Cluster } from '../../../src/client/index.ts'
import { producerConfig } from '../../../src/config/index.ts'
import { startProducer, streamSource } from '../../../src/producer/index.ts'
import type { CompressionName } from '../../../src/protocol/index.ts'
import { readArguments } from '../../support/arguments.ts'
import { Latencies } from './pace.ts'
import { startAppendUsage } from './usage.ts'
import { makeValues, VALUE_BYTES, VALUE_COUNT } from './values.ts'

/** Bytes of one read from a file or pipe. */
const READ_BYTES = 65_536
const LINE_BYTES = VALUE_BYTES + 1

const argument = readArguments()
const topic = argument('topic')
const records = Number(argument('records'))
const rate = Number(argument('rate'))
const { lines } = makeValues()

/** The lines again and again, as many as are asked for, in pieces that end anywhere. */
async function* pieces(): AsyncGenerator<Buffer> {
  const startMs = performance.now()
  for (let at = 0, end = records * LINE_BYTES; at < end;) {
    const due = rate === 0 ? end : Math.floor(((performance.now() - startMs) / 1000) * rate) * LINE_BYTES
    if (due <= at) {
      await wait(1)
      continue
    }
    const start = at % (VALUE_COUNT * LINE_BYTES)
    const length = Math.min(READ_BYTES, due - at, lines.length - start)
    yield lines.subarray(start, start + length)
    at += length
  }
}

const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-producer' })
const delivery = {
  compression: argument('compression') as CompressionName, // The codecs have the same names everywhere.
  ...(argument('linger') === ''
    ? {}
    : { lingerMs: argument('linger') === 'adaptive' ? ('adaptive' as const) : Number(argument('linger')) }),
  ...(argument('batch') === '' ? {} : { batchBytes: Number(argument('batch')) })
}
const config = producerConfig({
  sources: [],
  route: { field: 'codigo', topics: { [topic]: [{ from: 400, to: 499 }] } },
  key: argument('keyed') === 'true' ? { strategy: 'field', field: 'truck_id' } : { strategy: 'none' },
  delivery,
  deadLetterTopic: topic
})
const producer = await startProducer({ config, cluster })
const latencies = new Latencies()
const finish = startAppendUsage(latencies)
const { error } = await producer.run(streamSource(Readable.from(pieces(), { objectMode: false })))
const { ackLatencyMeanMs, ackLatencyMaxMs } = producer.status().totals
latencies.add(ackLatencyMeanMs, 1)
latencies.add(ackLatencyMaxMs, 1)
finish(records)
await producer.drain()
await cluster.close()
if (error !== undefined) throw error
