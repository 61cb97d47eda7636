/**
 * Sends requests as cheaply as it can: ready-made bytes on plain sockets, one request at a time on each. Arguments:
 * `port`, `connections`, `events` (in a body), `encoding` (`identity`, `gzip`, or `single` for one event as JSON),
 * `seconds`, `rate` (events a second, 0 = as fast as answers come). Prints one line of JSON.
 */

import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

import { SeededRandom } from '../../../src/core/index.ts'
import { readArguments } from '../../support/arguments.ts'

/** What a driver has seen. */
export interface DriverResult {
  readonly events: number
  readonly requests: number
  /** Answers that were not 202. */
  readonly refused: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** From when a request was due to its whole answer, in milliseconds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

const argument = readArguments()
const eventsPerBody = Number(argument('events'))
const connections = Number(argument('connections'))
const rate = Number(argument('rate'))
const durationMs = Number(argument('seconds')) * 1000
const encoding = argument('encoding')
const EVENT_BYTES = 200
const BODIES = 32

const random = new SeededRandom(1)
let sequence = 0

function event(): string {
  sequence += 1
  const fields = {
    codigo: 300 + Math.floor(random.next() ** 3 * 20) * 10,
    truck_id: `T-${String(Math.floor(random.next() ** 2 * 1000)).padStart(5, '0')}`,
    event_id: `p0-${sequence}`,
    ts: 1_790_000_000_000 + sequence,
    lat: -23.5 + random.next(),
    lon: -46.6 + random.next(),
    speed_kmh: Math.floor(random.next() * 120)
  }
  const text = JSON.stringify({ ...fields, note: '' })
  return `${text.slice(0, -2)}${'x'.repeat(Math.max(0, EVENT_BYTES - text.length))}"}`
}

function request(): Buffer {
  const lines = Array.from({ length: eventsPerBody }, event).join('\n')
  const plain = Buffer.from(lines)
  const body = encoding === 'gzip' ? gzipSync(plain, { level: 6 }) : plain
  const headers = [
    'POST /events HTTP/1.1',
    'host: 127.0.0.1',
    `content-type: ${encoding === 'single' ? 'application/json' : 'application/x-ndjson'}`,
    `content-length: ${body.length}`,
    ...(encoding === 'gzip' ? ['content-encoding: gzip'] : [])
  ]
  return Buffer.concat([Buffer.from(`${headers.join('\r\n')}\r\n\r\n`), body])
}

const requests = Array.from({ length: BODIES }, request)
const latencies: number[] = []
let refused = 0
let sentCount = 0
let startMs = 0

/** When the next request is due, in milliseconds since the start; `undefined` when the time is over. */
function nextDueMs(): number | undefined {
  const dueMs = rate > 0 ? ((sentCount * eventsPerBody) / rate) * 1000 : performance.now() - startMs
  if (dueMs >= durationMs) return undefined
  sentCount += 1
  return dueMs
}

/** Whether the bytes are a whole answer; those of this server are short and come with a length. */
function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /content-length: (\d+)/i.exec(answer)?.[1]
  return answer.length >= end + 4 + Number(length)
}

async function drive(socket: Socket): Promise<void> {
  let answer = ''
  let answered: () => void = () => undefined
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString('latin1')
    if (isWhole(answer)) answered()
  })
  for (let dueMs = nextDueMs(); dueMs !== undefined; dueMs = nextDueMs()) {
    const waitMs = startMs + dueMs - performance.now()
    if (waitMs > 0.5) await new Promise(resolve => setTimeout(resolve, waitMs))
    answer = ''
    const whole = new Promise<void>(resolve => {
      answered = resolve
    })
    socket.write(requests[sentCount % BODIES] ?? '')
    await whole
    latencies.push(performance.now() - startMs - dueMs)
    if (!answer.startsWith('HTTP/1.1 202')) refused += 1
  }
  socket.removeAllListeners('close').destroy()
}

const sockets = await Promise.all(
  Array.from({ length: connections }, async () => {
    const socket = connect({ port: Number(argument('port')), host: '127.0.0.1', noDelay: true })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    socket.on('close', () => {
      process.stderr.write('the producer has closed a connection\n')
      process.exit(1)
    })
    return socket
  })
)
const cpu = process.cpuUsage()
startMs = performance.now()
await Promise.all(sockets.map(drive))
const seconds = (performance.now() - startMs) / 1000
const { user, system } = process.cpuUsage(cpu)
latencies.sort((left, right) => left - right)
const part = (share: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
const result: DriverResult = {
  events: (latencies.length - refused) * eventsPerBody,
  requests: latencies.length,
  refused,
  seconds,
  cpuSeconds: (user + system) / 1e6,
  latencyMs: { p50: part(0.5), p99: part(0.99), max: part(1) }
}
process.stdout.write(`${JSON.stringify(result)}\n`)
