/**
 * A downstream service of the demonstration: takes sub-batches over HTTP, writes
 * every event it accepts to its ledger, and refuses poisonous ones.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { messageOf, systemClock } from '../../core/index.ts'
import { LEDGER_KIND, LedgerWriter } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { RunningRole } from '../process/role.ts'

/** What a service is told. */
export interface DemoServiceOptions {
  /** Index in `DEMO_SERVICES`. */
  readonly index: number
  readonly ledgerPath: string
  /** Port to listen on. Default: any; given, so that a service can come back where it was. */
  readonly port?: number
}

/** An event of the generator, as a service reads it. */
interface TruckEvent {
  readonly id: string
  readonly truck_id: string
  readonly seq: number
  readonly codigo: number
  readonly poison?: boolean
}

interface SubBatch {
  readonly messages: readonly TruckEvent[]
  readonly offsets: readonly number[]
}

interface Failure {
  readonly offset: number
  readonly action: 'deadLetter'
  readonly reason: string
}

/** Starts the service on a free port. */
export async function startDemoService(options: DemoServiceOptions, logger: Logger): Promise<RunningRole> {
  const ledger = new LedgerWriter(options.ledgerPath)
  const totals = { delivered: 0, refused: 0, requests: 0 }
  const accept = (batch: SubBatch): Failure[] => {
    const timeMs = systemClock.now()
    const failures: Failure[] = []
    batch.messages.forEach((event, index) => {
      if (event.poison === true) {
        failures.push({ offset: batch.offsets[index] ?? -1, action: 'deadLetter', reason: 'poisonous event' })
        return
      }
      const { producer, number } = parseEventId(event.id)
      const entry = { kind: LEDGER_KIND.delivered, producer, event: number, detail: options.index, timeMs }
      ledger.append({ ...entry, key: keyIndex(event), keySequence: event.seq })
    })
    totals.requests += 1
    totals.refused += failures.length
    totals.delivered += batch.messages.length - failures.length
    // Handed to the system before the answer: a service that is killed has lost nothing it said yes to.
    ledger.flush()
    return failures
  }
  const server = createServer((request, response) => {
    serve(request, response, accept).catch((error: unknown) => {
      logger.error({ error: messageOf(error) }, 'a request failed')
      response.writeHead(400).end(messageOf(error))
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  // Listening on TCP: the address is never a path.
  const { port } = server.address() as AddressInfo
  return {
    info: { url: `http://127.0.0.1:${port}/events` },
    status: () => totals,
    flush: () => ledger.flush(),
    drain: async () => {
      await new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeIdleConnections()
      })
      ledger.close()
    }
  }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  accept: (batch: SubBatch) => Failure[]
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  // The distributor's sub-batch of the generator's own events.
  const failures = accept(JSON.parse(Buffer.concat(chunks).toString('utf8')) as SubBatch)
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ failures }))
}

/** Reads `<producer>-<number>`. */
export function parseEventId(id: string): { producer: number; number: number } {
  const dash = id.indexOf('-')
  return { producer: Number(id.slice(0, dash)), number: Number(id.slice(dash + 1)) }
}

/** The key of an event as one number: order is kept per code and truck, as the pipeline's key strategy says. */
function keyIndex(event: TruckEvent): number {
  return event.codigo * 100_000 + Number(event.truck_id.slice(2))
}
