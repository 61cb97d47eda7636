/**
 * A producer under a steady load, for the outage benchmark: `bootstrap=… topic=… dead=… dir=… rate=…`. Prints how it is
 * as a line of JSON every second; stops the load and drains when its standard input ends.
 */

import { keepYoungGenerationSmall } from '../../src/cli/process/memory.ts'
import { Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { ChunkBuilder, type EventChunk, startProducer } from '../../src/producer/index.ts'
import { readArguments } from '../support/arguments.ts'

const argument = readArguments()
keepYoungGenerationSmall() // as `comporta produce` does with a spill
const rate = Number(argument('rate'))
/** Events are handed over that often, in milliseconds, as by a source that many senders share. */
const tickMs = 20
const keys = 1000
const fill = 'x'.repeat(120)

const cluster = await Cluster.connect({ bootstrapServers: [argument('bootstrap')], clientId: 'outage' })
const config = producerConfig({
  route: { topic: argument('topic') },
  key: { strategy: 'field', field: 'truck_id' },
  whenAway: { mode: 'spill', afterMs: 2000 },
  spill: { dir: argument('dir'), bytesMax: 17_179_869_184 },
  deadLetterTopic: argument('dead')
})
const producer = await startProducer({ config, cluster })

let sent = 0
let safe = 0
let failed = 0
let isStopping = false

function nextChunk(count: number): EventChunk {
  const builder = new ChunkBuilder()
  let text = ''
  for (let index = 0; index < count; index += 1) {
    const event = `{"n":${sent + index},"codigo":400,"truck_id":"T-${(sent + index) % keys}","fill":"${fill}"}`
    builder.add(text.length, text.length + event.length, index + 1)
    text += `${event}\n`
  }
  return builder.build(Buffer.from(text, 'latin1'), text.length)
}

async function load(): Promise<void> {
  const startMs = performance.now()
  while (!isStopping) {
    const due = Math.floor(((performance.now() - startMs) * rate) / 1000) - sent
    if (due <= 0) {
      await new Promise(resolve => setTimeout(resolve, tickMs))
      continue
    }
    const count = Math.min(due, 1000)
    const chunk = nextChunk(count)
    sent += count
    const { settled } = await producer.submit(chunk, { source: 'bench' })
    void settled.then(settlement => {
      safe += count - settlement.failedCount
      failed += settlement.failedCount
    })
  }
}

const report = (): void => {
  const { outlet, spill } = producer.status()
  const line = { sent, safe, failed, outlet, onDisk: spill?.recordCount ?? 0, bytesOnDisk: spill?.bytes ?? 0 }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
const reporting = setInterval(report, 1000)
const loading = load()
process.stdin.resume()
await new Promise(resolve => process.stdin.once('end', resolve))
isStopping = true
await loading
while (producer.status().outlet !== 'up') await new Promise(resolve => setTimeout(resolve, 100))
await producer.drain()
clearInterval(reporting)
report()
await cluster.close()
