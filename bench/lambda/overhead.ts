/**
 * What the embedded runtime adds to an invocation: the time from request to
 * answer, against the same handler behind a plain `node:http` server in a
 * process of its own, in the same run, in turns. Two events: an empty one and a
 * batch of 500 records of 200 bytes. One caller, one connection, so that nothing
 * waits in line.
 *
 * Also the handler called directly, with the event parsed and the answer
 * written as JSON in this process: overhead p99 = p99 of the runtime − p50 of
 * the direct call.
 *
 * `npx node bench/lambda/overhead.ts [invocations per sample=2000] [samples=5]`
 */

import { fork } from 'node:child_process'
import { createServer, request as httpRequest, Agent } from 'node:http'
import os from 'node:os'
import { fileURLToPath } from 'node:url'

import { startLambdaRuntime } from '../../src/lambda/index.ts'

const RECORDS = 500
const RECORD_BYTES = 200
const WARM_UP = 500

/** The function: as much as looks at every record. */
export function handler(event: { readonly messages?: readonly unknown[] }): { readonly count: number } {
  return { count: event.messages?.length ?? 0 }
}

function batch(): Buffer {
  const messages = Array.from({ length: RECORDS }, (_, index) => {
    const event = { codigo: 300 + (index % 4), truck_id: `truck-${index}`, speed: index % 90, padding: '' }
    event.padding = 'x'.repeat(RECORD_BYTES - JSON.stringify(event).length)
    return event
  })
  const offsets = messages.map((_, index) => 1_000_000 + index)
  return Buffer.from(JSON.stringify({ topic: 'mt-c300', partition: 3, messages, offsets }))
}

/** The peer: no runtime at all. */
function servePlain(): void {
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.from(JSON.stringify(handler(JSON.parse(Buffer.concat(chunks).toString('utf8')))))
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
      response.end(body)
    })
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) process.send?.({ url: `http://127.0.0.1:${address.port}/` })
  })
}

async function serveRuntime(): Promise<void> {
  const runtime = await startLambdaRuntime({
    functions: { f: { handler: fileURLToPath(import.meta.url), memoryMb: 256, concurrency: 1 } }
  })
  process.send?.({ url: `${runtime.endpoint}/2015-03-31/functions/f/invocations` })
}

interface Peer {
  readonly url: string
  close(): void
}

async function start(kind: string): Promise<Peer> {
  const child = fork(fileURLToPath(import.meta.url), [kind])
  const { url } = await new Promise<{ url: string }>(resolve => child.once('message', value => resolve(value as never)))
  return { url, close: () => child.kill() }
}

function call(url: string, body: Buffer, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method: 'POST', agent, headers: { 'content-length': body.length } }, reply => {
      if (reply.statusCode !== 200) reject(new Error(`answered ${reply.statusCode}`))
      reply.resume().once('end', resolve)
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

async function sample(count: number, once: () => Promise<void> | void): Promise<number[]> {
  const times: number[] = []
  for (let index = 0; index < count; index += 1) {
    const began = performance.now()
    await once()
    times.push(performance.now() - began)
  }
  return times.toSorted((a, b) => a - b)
}

const quantile = (sorted: readonly number[], share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0

function summary(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[0] ?? 0, sorted.at(-1) ?? 0]
  return `${quantile(sorted, 0.5).toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`
}

async function main(): Promise<void> {
  const [count = 2_000, samples = 5] = process.argv.slice(2).map(Number)
  console.log(`node ${process.version}, ${os.cpus()[0]?.model}, ${os.cpus().length} CPUs; load ${os.loadavg()[0]}`)
  console.log(`${samples} samples of ${count} invocations, in turns; medians (lowest to highest) in ms`)
  const peers = { runtime: await start('runtime'), plain: await start('plain') }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (const [name, body] of [
    ['empty event', Buffer.from('{}')],
    ['500 records of 200 bytes', batch()]
  ] as const) {
    const direct = (): void => void JSON.stringify(handler(JSON.parse(body.toString('utf8'))))
    const ways = {
      runtime: () => call(peers.runtime.url, body, agent),
      plain: () => call(peers.plain.url, body, agent),
      direct
    }
    for (const once of Object.values(ways)) await sample(WARM_UP, once)
    const p50: Record<string, number[]> = {}
    const p99: Record<string, number[]> = {}
    for (let round = 0; round < samples; round += 1) {
      for (const [way, once] of Object.entries(ways)) {
        const times = await sample(count, once)
        ;(p50[way] ??= []).push(quantile(times, 0.5))
        ;(p99[way] ??= []).push(quantile(times, 0.99))
      }
    }
    console.log(`\n${name} (${body.length} bytes)`)
    for (const way of Object.keys(ways)) {
      console.log(`  ${way.padEnd(8)} p50 ${summary(p50[way] ?? [])}  p99 ${summary(p99[way] ?? [])}`)
    }
    const over = (which: Record<string, number[]>, way: string): number[] =>
      (which['runtime'] ?? []).map(
        (value, index) => value - (way === 'direct' ? (p50['direct']?.[index] ?? 0) : (which['plain']?.[index] ?? 0))
      )
    console.log(
      `  runtime beyond the direct call: p50 ${summary(over(p50, 'direct'))}  p99 ${summary(over(p99, 'direct'))}`
    )
    console.log(
      `  runtime beyond plain HTTP:      p50 ${summary(over(p50, 'plain'))}  p99 ${summary(over(p99, 'plain'))}`
    )
  }
  agent.destroy()
  for (const peer of Object.values(peers)) peer.close()
}

// The runtime loads this file as the function: then it is neither started nor forked.
if (process.argv[1] === fileURLToPath(import.meta.url) && process.env['AWS_LAMBDA_FUNCTION_NAME'] === undefined) {
  if (process.argv[2] === 'plain') servePlain()
  else if (process.argv[2] === 'runtime') await serveRuntime()
  else await main()
}
