/**
 * Runs a source of one's own (`poll-source.mjs`) against a small API, stops it, and runs it again: it goes on where it
 * stopped.
 *
 * `npx node examples/producer/own-source.ts`
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { producerConfig } from '../../src/config/index.ts'
import { moduleSource, startProducer } from '../../src/producer/index.ts'

// The API: pages of two measurements; the cursor is the number of the last one.
let measured = 5
const api = createServer((request, response) => {
  const after = Number(new URL(request.url ?? '', 'http://api').searchParams.get('after') ?? 0)
  const last = Math.min(measured, after + 2)
  const items = Array.from({ length: last - after }, (_, index) => ({ id: after + index + 1, celsius: 20 }))
  response.end(JSON.stringify({ items, ...(last > after ? { next: String(last) } : {}) }))
})
await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve))
// Listening on TCP: the address is never a path.
const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}/`

const broker = await startBroker()
const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
await new Admin(cluster).createTopics([
  { topic: 'measurements', partitionCount: 3 },
  { topic: 'dead-letters', partitionCount: 1 }
])
const folder = await mkdtemp(join(tmpdir(), 'comporta-example-'))
const config = producerConfig({ route: { topic: 'measurements' }, deadLetterTopic: 'dead-letters' })

for (const run of ['first', 'second']) {
  const producer = await startProducer({ cluster, config })
  const file = join(import.meta.dirname, 'poll-source.mjs')
  const options = { url, state: join(folder, 'cursor'), everyMs: 5 }
  void producer.run(await moduleSource({ file, options }))
  const expected = run === 'first' ? 5 : 2
  while (producer.status().totals.deliveredCount < expected) await new Promise(resolve => setTimeout(resolve, 5))
  const { totals, sources } = await producer.drain()
  console.log(`${run} run: ${totals.deliveredCount} events, ${sources[0]?.error?.message ?? 'no error'}`)
  measured += 2
}

await cluster.close()
await broker.close()
api.close()
await rm(folder, { recursive: true })
