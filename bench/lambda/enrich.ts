/**
 * What enrichment costs with a warm cache: CPU time of the distributor for a batch of 500 records of 200 bytes and two
 * HTTP services, without enrichment and with values of 120 bytes for 50 and for 500 distinct keys, by added text alone
 * and routed by what was added. Services are a process of their own, whose time does not count. Samples alternate;
 * medians and their spread are printed.
 *
 * `npx node bench/lambda/enrich.ts [samples=5] [invocations=300]`
 */

import { fork } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import os from 'node:os'

import { createDistributor, type Distributor, type DistributorOptions } from '../../src/lambda/index.ts'

const RECORDS = 500
const RECORD_BYTES = 200
const VALUE_BYTES = 120
const ENRICHED_BYTES = RECORD_BYTES + ',"driver":'.length + VALUE_BYTES

/** Answers look-ups with a value for the key, and everything else with `{}`. */
async function serve(): Promise<void> {
  const server = createServer((incoming, response) => {
    incoming.resume()
    incoming.on('end', () => {
      const key = /^\/drivers\/(.+)$/.exec(incoming.url ?? '')?.[1]
      const value = { id: key, tier: 'gold', km: 1_234_567.5, padding: '' }
      value.padding = 'x'.repeat(Math.max(0, VALUE_BYTES - JSON.stringify(value).length))
      response.end(key === undefined ? '{}' : JSON.stringify(value))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // Boundary: a listening TCP server has a port.
  process.send?.((server.address() as AddressInfo).port)
  process.once('disconnect', () => process.exit())
}

function payload(keys: number, recordBytes = RECORD_BYTES): string {
  const messages = Array.from({ length: RECORDS }, (_, index) => {
    const event = { codigo: 300 + (index % 2), driver_id: `D-${index % keys}`, speed: index % 90, padding: '' }
    event.padding = 'x'.repeat(recordBytes - JSON.stringify(event).length)
    return event
  })
  const offsets = messages.map((_, index) => 1_000_000 + index)
  return JSON.stringify({ topic: 'mt-c300', partition: 3, messages, offsets })
}

interface Candidate {
  readonly name: string
  readonly distributor: Distributor
  readonly body: string
  readonly costsMs: number[]
}

async function cpuMsOf({ distributor, body }: Candidate, invocations: number): Promise<number> {
  const before = process.cpuUsage()
  for (let count = 0; count < invocations; count += 1) {
    const answer = await distributor(JSON.parse(body), { getRemainingTimeInMillis: () => 30_000 })
    if (JSON.stringify(answer) !== '{}') throw new Error(JSON.stringify(answer).slice(0, 200))
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000 / invocations
}

function candidates(port: number): Candidate[] {
  const url = `http://127.0.0.1:${port}`
  const plain: DistributorOptions = {
    targets: { alerts: `${url}/alerts`, telemetry: `${url}/telemetry` },
    routes: [{ values: [300], targets: ['alerts'] }],
    otherwise: ['telemetry']
  }
  const enrich: DistributorOptions['enrich'] = [
    {
      into: 'driver',
      key: 'driver_id',
      from: { type: 'http', url: `${url}/drivers/{key}` },
      cache: { ttlMs: 86_400_000 },
      timeoutMs: 10_000
    }
  ]
  const routed = [{ when: { 'driver.tier': ['gold'], codigo: [300] }, targets: ['alerts'] }]
  const byOwn = [{ when: { speed: [{ from: 0, to: 100 }], codigo: [300] }, targets: ['alerts'] }]
  const candidate = (name: string, keys: number, options: DistributorOptions): Candidate => {
    return { name, distributor: createDistributor(options), body: payload(keys), costsMs: [] }
  }
  // `,"driver":` and the value: what services get is as large as with it.
  const grown = { ...candidate('none, records as large as with it', 500, plain), body: payload(500, ENRICHED_BYTES) }
  return [
    candidate('none', 500, plain),
    grown,
    candidate('50 keys', 50, { ...plain, enrich }),
    candidate('500 keys', 500, { ...plain, enrich }),
    candidate('none, routed by two fields', 500, { ...plain, routes: byOwn }),
    candidate('500 keys, routed by what was added', 500, { ...plain, enrich, routes: routed })
  ]
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? 0
}

async function main(): Promise<void> {
  const [samples = 5, invocations = 300] = process.argv.slice(2).map(Number)
  const child = fork(import.meta.filename, ['serve'])
  const port = await new Promise<number>(resolve => child.once('message', message => resolve(Number(message))))
  console.log(`node ${process.version}, ${os.cpus()[0]?.model}, ${RECORDS} records of ${RECORD_BYTES} bytes`)
  console.log(`${samples} samples of ${invocations} invocations; CPU ms for one, and as a ratio to none`)
  const all = candidates(port)
  for (const each of all) await cpuMsOf(each, invocations)
  for (let sample = 0; sample < samples; sample += 1) {
    for (const each of all) each.costsMs.push(await cpuMsOf(each, invocations))
  }
  for (const { name, costsMs } of all) {
    const spread = `${Math.min(...costsMs).toFixed(3)} to ${Math.max(...costsMs).toFixed(3)}`
    const ratio = (median(costsMs) / median(all[0]?.costsMs ?? [])).toFixed(2)
    console.log(`${name.padEnd(36)} ${median(costsMs).toFixed(3)} (${spread}), ${ratio}`)
  }
  await Promise.all(all.map(each => each.distributor.close()))
  child.disconnect()
}

await (process.argv[2] === 'serve' ? serve() : main())
