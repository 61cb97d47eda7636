/** Look-up services and records for the tests of enrichment. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { createEnricher, type EnricherDependencies } from '../../../src/lambda/enrichment/create-enricher.ts'
import type { EnrichablePartition, EnrichedPartition, Enricher } from '../../../src/lambda/enrichment/enricher.ts'
import type { EnrichmentSettings } from '../../../src/lambda/enrichment/settings.ts'
import type { LogFields, Logger } from '../../../src/telemetry/index.ts'
import type { HttpSourceSettings } from '../../../src/lambda/enrichment/source-settings.ts'

/** What a look-up service says. */
export interface LookupAnswer {
  readonly status?: number
  readonly body?: string
  readonly headers?: Record<string, string>
}

/** One request that it got. */
export interface LookupRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A service that things are looked up in. */
export interface LookupService {
  readonly url: string
  readonly requests: LookupRequest[]
}

/** Starts a real HTTP service. Without an answer it stays silent. */
export async function startLookupService(
  t: TestContext,
  respond: (request: LookupRequest) => LookupAnswer | undefined | Promise<LookupAnswer | undefined>
): Promise<LookupService> {
  const requests: LookupRequest[] = []
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method = '', url = '', headers } = request
    const seen = { method, path: url, headers, body: Buffer.concat(chunks).toString('utf8') }
    requests.push(seen)
    const answer = await respond(seen)
    if (answer === undefined) return
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
    response.end(answer.body)
  }
  // A client that gives up is part of some tests.
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  // Boundary: a listening TCP server has a port.
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

/** A service that answers one GET per key from a table. */
export function startTableService(t: TestContext, table: Readonly<Record<string, string>>): Promise<LookupService> {
  return startLookupService(t, ({ path }) => {
    const key = decodeURIComponent(path.split('/').at(-1) ?? '')
    const body = Object.hasOwn(table, key) ? table[key] : undefined
    return body === undefined ? { status: 404 } : { body }
  })
}

/** An enricher that ends with the test. */
export function enricherFor(
  t: TestContext,
  settings: readonly EnrichmentSettings[],
  dependencies: EnricherDependencies = {}
): Enricher {
  const enricher = createEnricher(settings, dependencies)
  t.after(() => enricher.close())
  return enricher
}

/** An enrichment by HTTP. */
export function byHttp(url: string, more: HttpEnrichment = {}): EnrichmentSettings {
  const { from, ...rest } = more
  return { into: 'driver', key: 'driver_id', from: { type: 'http', url, ...from }, ...rest }
}

/** What an enrichment by HTTP has besides its address. */
export interface HttpEnrichment extends Partial<Omit<EnrichmentSettings, 'from'>> {
  readonly from?: Partial<Omit<HttpSourceSettings, 'type' | 'url'>>
}

/** Records of one partition, by their texts. */
export function recordsOf(texts: readonly string[]): EnrichablePartition {
  return { messages: texts.map(text => JSON.parse(text) as unknown), textOf: index => texts[index] }
}

/** Enriches the records of one partition. */
export async function enrichOne(
  enricher: Enricher,
  texts: readonly string[],
  timeoutMs = 10_000
): Promise<EnrichedPartition> {
  const [first] = await enricher.enrich([recordsOf(texts)], timeoutMs)
  if (first === undefined) throw new Error('there is one entry for each partition')
  return first
}

/** The texts as they would be delivered. */
export function deliveredTexts(given: readonly string[], enriched: EnrichedPartition): (string | undefined)[] {
  return given.map((text, index) => (enriched.failures.has(index) ? undefined : (enriched.texts.get(index) ?? text)))
}

/** A logger that keeps its lines: level, fields and message. */
export function linesLogger(): Logger & { readonly lines: (readonly [string, LogFields, string])[] } {
  const lines: (readonly [string, LogFields, string])[] = []
  const at =
    (level: string) =>
    (fields: LogFields, message: string): void =>
      void lines.push([level, fields, message])
  const logger = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (): Logger => logger
  }
  return logger
}
