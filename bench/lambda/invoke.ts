/**
 * Throughput of the embedded Lambda runtime with the distributor: invocations of
 * 500 records of 200 bytes, two HTTP services, all in one process group on this
 * machine. Prints one line per round: invocations/s, records/s, latency, CPU.
 *
 * `npx node bench/lambda/invoke.ts [seconds=5] [callers=4] [rate=0 (as fast as it goes)]`
 */

import { createServer } from 'node:http'
import os from 'node:os'
import { Worker, isMainThread, parentPort } from 'node:worker_threads'

import { Agent, request } from 'undici'

import { startLambdaRuntime } from '../../src/lambda/index.ts'

const RECORDS = 500
const RECORD_BYTES = 200

function service(): void {
  let records = 0
  const server = createServer((incoming, response) => {
    incoming.resume()
    incoming.on('end', () => {
      records += 1
      response.end('{}')
    })
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) parentPort?.postMessage(address.port)
  })
}

function payload(partition: number, firstOffset: number): string {
  const messages = Array.from({ length: RECORDS }, (_, index) => {
    const event = { codigo: 300 + (index % 4), truck_id: `truck-${index}`, speed: index % 90, padding: '' }
    event.padding = 'x'.repeat(RECORD_BYTES - JSON.stringify(event).length)
    return event
  })
  const offsets = messages.map((_, index) => firstOffset + index)
  return JSON.stringify({ topic: 'mt-c300', partition, messages, offsets, timestamps: offsets.map(() => 1.7e12) })
}

async function startService(): Promise<{ url: string; worker: Worker }> {
  const worker = new Worker(new URL(import.meta.url))
  const port = await new Promise<number>(resolve => worker.once('message', resolve))
  return { url: `http://127.0.0.1:${port}/records`, worker }
}

interface Load {
  readonly endpoint: string
  readonly seconds: number
  readonly callers: number
  readonly rate: number
}

async function round({ endpoint, seconds, callers, rate }: Load): Promise<number[]> {
  const agent = new Agent({ connections: callers })
  const body = payload(3, 1_000_000)
  const latencies: number[] = []
  const start = performance.now()
  const end = start + seconds * 1_000
  let sent = 0
  const call = async (): Promise<void> => {
    for (;;) {
      const now = performance.now()
      if (now >= end) return
      const due = rate === 0 ? now : start + (sent / rate) * 1_000
      sent += 1
      if (due > now) await new Promise(resolve => setTimeout(resolve, due - now))
      const began = performance.now()
      const url = `${endpoint}/2015-03-31/functions/distributor/invocations`
      const reply = await request(url, { method: 'POST', body, dispatcher: agent })
      const text = await reply.body.text()
      if (text !== '{}') throw new Error(`${reply.statusCode}: ${text}`)
      latencies.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: callers }, call))
  await agent.close()
  return latencies
}

function quantile(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2)
}

async function main(): Promise<void> {
  const [seconds = 5, callers = 4, rate = 0] = process.argv.slice(2).map(Number)
  const services = [await startService(), await startService()]
  const [heavy, light] = services.map(each => each.url)
  const runtime = await startLambdaRuntime({
    functions: {
      distributor: {
        handler: 'builtin:distributor',
        timeoutMs: 30_000,
        memoryMb: 256,
        concurrency: callers,
        distributor: {
          targets: { heavy: heavy ?? '', light: light ?? '' },
          routes: [
            { values: [300, 301, 302], targets: ['heavy'] },
            { values: [303], targets: ['light'] }
          ]
        }
      }
    }
  })
  console.log(`node ${process.version}, ${os.cpus()[0]?.model}, ${os.cpus().length} CPUs, ${callers} callers`)
  await round({ endpoint: runtime.endpoint, seconds: 1, callers, rate })
  for (let sample = 1; sample <= 3; sample += 1) {
    const cpu = process.cpuUsage()
    const main = process.threadCpuUsage()
    const start = performance.now()
    const latencies = (await round({ endpoint: runtime.endpoint, seconds, callers, rate })).toSorted((a, b) => a - b)
    const elapsed = (performance.now() - start) / 1_000
    const used = process.cpuUsage(cpu)
    const usedMain = process.threadCpuUsage(main)
    const perInvoke = (value: { user: number; system: number }): string =>
      ((value.user + value.system) / 1_000 / latencies.length).toFixed(2)
    console.log(
      `sample ${sample}: ${(latencies.length / elapsed).toFixed(0)} invocations/s, ` +
        `${((latencies.length * RECORDS) / elapsed).toFixed(0)} records/s, p50 ${quantile(latencies, 0.5)} ms, ` +
        `p99 ${quantile(latencies, 0.99)} ms, CPU ms per invocation: all threads ${perInvoke(used)} ` +
        `(callers and services included), main thread ${perInvoke(usedMain)}`
    )
  }
  await runtime.close()
  for (const each of services) await each.worker.terminate()
}

if (isMainThread) await main()
else service()
