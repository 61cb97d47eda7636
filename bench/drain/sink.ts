/**
 * The HTTP sink of the drain benchmark: reads each body to its end and answers `{}`.
 *
 * `GET /` answers what came since the last time, and starts to count anew. `GET /settings?delayMs=120&check=1` has it
 * hold answers back, or parse every body and look for each record: that is for runs whose speed does not count.
 */

import { serveLean } from '../support/lean-http.ts'
import { DeliveryCheck } from '../support/delivery-check.ts'

let delayMs = 0
let check: DeliveryCheck | undefined
let counts = { requests: 0, records: 0, bytes: 0, inFlightMax: 0 }
let inFlight = 0

const { url } = await serveLean({
  isBodyKept: () => check !== undefined,
  answer: ({ method, path, recordCount, bodyBytes }, body) => {
    if (method === 'GET') return { text: control(path), delayMs: 0 }
    counts.requests += 1
    counts.records += recordCount
    counts.bytes += bodyBytes
    inFlight += 1
    counts.inFlightMax = Math.max(counts.inFlightMax, inFlight)
    if (delayMs === 0) inFlight -= 1
    else setTimeout(() => (inFlight -= 1), delayMs)
    check?.take(body)
    return { text: '{}', delayMs }
  }
})

function control(path: string): string {
  const { pathname, searchParams } = new URL(path, 'http://sink')
  if (pathname === '/settings') {
    delayMs = Number(searchParams.get('delayMs') ?? 0)
    check = searchParams.get('check') === '1' ? new DeliveryCheck() : undefined
    return '{}'
  }
  const text = JSON.stringify({ ...counts, ...check?.report() })
  counts = { requests: 0, records: 0, bytes: 0, inFlightMax: 0 }
  if (check !== undefined) check = new DeliveryCheck()
  return text
}

process.stdout.write(`${JSON.stringify({ url, pid: process.pid })}\n`)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
