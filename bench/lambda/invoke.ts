/**
 * Throughput of the distributor in the embedded Lambda runtime, beside handlers written by hand: invocations of 500
 * records of 200 bytes, two HTTP services. The runtime has a process and a CPU of its own (`taskset`), callers and
 * services share another. Samples of the functions alternate; medians of all samples and their spread are printed.
 *
 * Records per second of CPU time are the figure to compare: on a machine that is shared they do not depend on what else
 * runs.
 *
 * `npx node bench/lambda/invoke.ts [seconds=3] [samples=5] [callers=2] [cpu=0]`
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:http'
import os from 'node:os'
import path from 'node:path'

import { Agent, request } from 'undici'

const RECORDS = 500
const RECORD_BYTES = 200
const FUNCTIONS = ['distributor', 'undici', 'fetch']

async function startService(): Promise<string> {
  const server = createServer((incoming, response) => {
    incoming.resume()
    incoming.on('end', () => response.end('{}'))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/records`
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

function next<T>(child: ChildProcess): Promise<T> {
  // Boundary: the other side is runtime-process.ts.
  return new Promise(resolve => child.once('message', message => resolve(message as T)))
}

async function cpuSeconds(child: ChildProcess): Promise<number> {
  const answer = next<{ cpu: { user: number; system: number } }>(child)
  child.send('cpu')
  const { cpu } = await answer
  return (cpu.user + cpu.system) / 1e6
}

interface Load {
  readonly url: string
  readonly seconds: number
  readonly callers: number
}

async function round({ url, seconds, callers }: Load): Promise<number[]> {
  const agent = new Agent({ connections: callers })
  const body = payload(3, 1_000_000)
  const latencies: number[] = []
  const end = performance.now() + seconds * 1_000
  const call = async (): Promise<void> => {
    for (let began = performance.now(); began < end; began = performance.now()) {
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

interface Sample {
  readonly perSecond: number
  readonly perCpuSecond: number
  readonly p50: number
  readonly p99: number
}

async function sample(child: ChildProcess, load: Load): Promise<Sample> {
  const [cpu, start] = [await cpuSeconds(child), performance.now()]
  const latencies = (await round(load)).toSorted((a, b) => a - b)
  const elapsed = (performance.now() - start) / 1_000
  const used = (await cpuSeconds(child)) - cpu
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  const records = latencies.length * RECORDS
  return { perSecond: records / elapsed, perCpuSecond: records / used, p50: at(0.5), p99: at(0.99) }
}

function spread(samples: readonly Sample[], valueOf: (each: Sample) => number, digits = 0): string {
  const sorted = samples.map(valueOf).toSorted((a, b) => a - b)
  const text = (value: number | undefined): string => (value ?? 0).toFixed(digits)
  return `${text(sorted[sorted.length >> 1])} (${text(sorted[0])} to ${text(sorted.at(-1))})`
}

const median = (samples: readonly Sample[]): number =>
  samples.map(each => each.perCpuSecond).toSorted((a, b) => a - b)[samples.length >> 1] ?? 0

async function main(): Promise<void> {
  const [seconds = 3, samples = 5, callers = 2, cpu = 0] = process.argv.slice(2).map(Number)
  const urls = [await startService(), await startService()]
  const program = path.join(import.meta.dirname, 'runtime-process.ts')
  const child = spawn('taskset', ['-c', String(cpu), process.execPath, program, ...urls], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  const { endpoint } = await next<{ endpoint: string }>(child)
  const loadOf = (name: string, forSeconds: number): Load => {
    return { url: `${endpoint}/2015-03-31/functions/${name}/invocations`, seconds: forSeconds, callers }
  }
  console.log(`node ${process.version}, ${os.cpus()[0]?.model}, runtime on CPU ${cpu} of ${os.cpus().length}`)
  console.log(`${samples} samples of ${seconds} s, ${callers} callers, ${RECORDS} records of ${RECORD_BYTES} bytes`)
  const results = new Map<string, Sample[]>(FUNCTIONS.map(name => [name, []]))
  for (const name of FUNCTIONS) await round(loadOf(name, 2))
  for (let number = 1; number <= samples; number += 1) {
    for (const [name, all] of results) all.push(await sample(child, loadOf(name, seconds)))
  }
  for (const [name, all] of results) {
    console.log(
      `${name.padEnd(12)} records per CPU second ${spread(all, each => each.perCpuSecond)}, per second ` +
        `${spread(all, each => each.perSecond)}, p50 ${spread(all, each => each.p50, 2)} ms, p99 ` +
        `${spread(all, each => each.p99, 2)} ms, against by hand with fetch ` +
        `${(median(all) / median(results.get('fetch') ?? [])).toFixed(2)}`
    )
  }
  child.disconnect()
}

await main()
