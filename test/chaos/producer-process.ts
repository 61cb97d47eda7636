/**
 * A producer to be killed, with a spill: `producer-process.ts BOOTSTRAP TOPIC DEAD DIR FROM RATE`. It publishes events
 * numbered from FROM on until its standard input ends, and says on its standard output
 *
 *     safe FROM COUNT     these events were acknowledged: delivered, or spilled
 *     state STATE COUNT   the state of the outlet, and how many events are on disk
 */

import { Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { ChunkBuilder, type EventChunk, startProducer } from '../../src/producer/index.ts'

const [, , bootstrap = '', topic = '', dead = '', dir = '', fromText = '0', rateText = '1000'] = process.argv
const tickMs = 5
const keys = 37

const cluster = await Cluster.connect({ bootstrapServers: [bootstrap], clientId: 'crash-producer' })
const config = producerConfig({
  route: { topic },
  key: { strategy: 'field', field: 'k' },
  delivery: { lingerMs: 1, bufferBytes: 1_048_576, batchBytes: 16_384 },
  whenAway: { mode: 'spill', afterMs: 120 },
  spill: { dir, bytesMax: 268_435_456, segmentBytes: 1_048_576 },
  deadLetterTopic: dead
})
const producer = await startProducer({ config, cluster, topicWaitMs: 30_000 })
let next = Number(fromText)
let isStopping = false

function chunkOf(count: number): EventChunk {
  const builder = new ChunkBuilder()
  let text = ''
  for (let number = next; number < next + count; number += 1) {
    const event = `{"n":${number},"k":"K${number % keys}","fill":"${'x'.repeat(100)}"}`
    builder.add(text.length, text.length + event.length, number + 1)
    text += `${event}\n`
  }
  return builder.build(Buffer.from(text), text.length)
}

const tell = (): void => {
  const { outlet, spill } = producer.status()
  process.stdout.write(`state ${outlet} ${spill?.recordCount ?? 0}\n`)
}
const telling = setInterval(tell, 10)
process.stdin.resume()
process.stdin.on('end', () => {
  isStopping = true
})
const perTick = Math.max(1, Math.round((Number(rateText) * tickMs) / 1000))
while (!isStopping) {
  const from = next
  const chunk = chunkOf(perTick)
  next += perTick
  const { settled } = await producer.submit(chunk, { source: 'chaos' })
  void settled.then(settlement => {
    if (settlement.error === undefined) process.stdout.write(`safe ${from} ${perTick}\n`)
  })
  await new Promise(resolve => setTimeout(resolve, tickMs))
}
while (producer.status().outlet !== 'up') await new Promise(resolve => setTimeout(resolve, 5))
await producer.drain()
clearInterval(telling)
tell()
await cluster.close()
