/**
 * An OpenTelemetry collector's door for spans: reads OTLP over HTTP as protobuf and as JSON, by definitions that are
 * not ours, and keeps what it was sent.
 */

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'

import protobuf from 'protobufjs'

// The part of opentelemetry-proto's `trace.proto`, `common.proto` and `resource.proto` (v1) that spans use.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
  message Scope { string name = 1; string version = 2; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5;
    int32 kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9;
    repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15; fixed32 flags = 16;
  }
  message Link { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; }
  message Status { string message = 2; int32 code = 3; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue {
    oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; }
  }
`)
const requestType = root.lookupType('ExportTraceServiceRequest')

/** A span as it was received. */
export interface ReceivedSpan {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string
  readonly name: string
  /** Numbers of OTLP: 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly traceState: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly droppedLinksCount: number
  /** 2 is an error. */
  readonly statusCode: number
}

/** A running receiver. */
export interface OtlpReceiver {
  /** Full address of its traces. */
  readonly url: string
  readonly spans: ReceivedSpan[]
  /** Content types of the requests. */
  readonly contentTypes: string[]
  /** Headers of the last request. */
  headers: IncomingMessage['headers']
}

/** Starts a receiver that ends with the test. */
export async function startOtlpReceiver(t: TestContext): Promise<OtlpReceiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const whole = Buffer.concat(chunks)
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(whole) : whole
      const type = request.headers['content-type'] ?? ''
      receiver.headers = request.headers
      receiver.contentTypes.push(type)
      receiver.spans.push(...(type.includes('json') ? fromJson(body) : fromProtobuf(body)))
      response.writeHead(200, { 'content-type': type }).end(type.includes('json') ? '{}' : '')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/v1/traces`
  const receiver: OtlpReceiver = { url, spans: [], contentTypes: [], headers: {} }
  return receiver
}

interface Json {
  readonly [name: string]: unknown
}

function fromProtobuf(body: Buffer): ReceivedSpan[] {
  const decoded = requestType.toObject(requestType.decode(body), { longs: String, bytes: Buffer, defaults: true })
  return spansOf(decoded, value => (Buffer.isBuffer(value) ? value.toString('hex') : ''))
}

function fromJson(body: Buffer): ReceivedSpan[] {
  // Boundary: what we have sent.
  return spansOf(JSON.parse(body.toString()) as Json, value => (typeof value === 'string' ? value : ''))
}

function spansOf(request: Json, id: (value: unknown) => string): ReceivedSpan[] {
  return list(request['resourceSpans']).flatMap(({ resource, scopeSpans }) => {
    const service = String(attributesOf((resource as Json)['attributes'])['service.name'])
    return list(scopeSpans).flatMap(({ spans }) =>
      list(spans).map(span => ({
        service,
        traceId: id(span['traceId']),
        spanId: id(span['spanId']),
        parentSpanId: id(span['parentSpanId']),
        name: String(span['name']),
        kind: Number(span['kind']),
        startNanos: BigInt(String(span['startTimeUnixNano'])),
        endNanos: BigInt(String(span['endTimeUnixNano'])),
        traceState: textOf(span['traceState']),
        attributes: attributesOf(span['attributes']),
        links: list(span['links']).map(link => ({ traceId: id(link['traceId']), spanId: id(link['spanId']) })),
        droppedLinksCount: Number(span['droppedLinksCount'] ?? 0),
        statusCode: Number((span['status'] as Json | null)?.['code'] ?? 0)
      }))
    )
  })
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as Json[]) : []
}

function attributesOf(value: unknown): Record<string, unknown> {
  return Object.fromEntries(list(value).map(({ key, value: given }) => [String(key), anyValue(given as Json)]))
}

/** Protobuf names the member that is set, and fills in the others; JSON has the one. */
function anyValue({ value: kind, ...members }: Json): unknown {
  const name = typeof kind === 'string' ? kind : Object.keys(members)[0]
  const set = members[name ?? '']
  return name === 'intValue' ? Number(set) : set
}
