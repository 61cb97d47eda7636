/**
 * Appends rows of chunks that are there already: the raw append of the client.
 * Arguments: bootstrap, topic, records, rate, keyed, compression, linger, batch.
 */

import { Appender, Cluster, type DeliveryListener } from '../../../src/client/index.ts'
import type { CompressionName } from '../../../src/protocol/index.ts'
import { readArguments } from '../../support/arguments.ts'
import { Latencies, paced } from './pace.ts'
import { startAppendUsage } from './usage.ts'
import { makeValues, VALUE_COUNT } from './values.ts'

const argument = readArguments()
const topic = argument('topic')
const records = Number(argument('records'))
const isKeyed = argument('keyed') === 'true'
const values = makeValues()
const rows = { bytes: values.lines, spans: values.spans }
const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'bench-rows' })
await cluster.topic(topic)
const appender = new Appender({
  cluster,
  compression: argument('compression') as CompressionName, // The codecs have the same names everywhere.
  ...(argument('linger') === ''
    ? {}
    : { lingerMs: argument('linger') === 'adaptive' ? ('adaptive' as const) : Number(argument('linger')) }),
  ...(argument('batch') === '' ? {} : { batchBytes: Number(argument('batch')) })
})
const latencies = new Latencies()
let failedCount = 0

/** One for each slice: what it takes of a record is the time since the slice was handed over. */
function listener(): DeliveryListener {
  const startMs = performance.now()
  return {
    delivered: ({ recordCount }) => latencies.add(performance.now() - startMs, recordCount),
    failed: (error, failed) => {
      failedCount += failed.length
      process.stderr.write(`${error.message}\n`)
    }
  }
}

const finish = startAppendUsage(latencies)
const place = {
  topic,
  key: null as Buffer | null,
  headers: undefined,
  timestampMs: undefined as number | undefined,
  partition: undefined
}
await paced(records, Number(argument('rate')), async (from, count) => {
  const heard = listener()
  place.timestampMs = Date.now()
  for (let index = from; index < from + count; index += 1) {
    const row = index % VALUE_COUNT
    if (isKeyed) place.key = values.keys[row] ?? null
    while (!appender.appendRow(place, rows, row, heard)) await appender.room()
  }
  await new Promise(resolve => setImmediate(resolve))
})
await appender.flush()
finish(records)
await appender.close()
await cluster.close()
if (failedCount > 0) throw new Error(`${failedCount} records were not delivered`)
