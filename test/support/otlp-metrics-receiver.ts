/**
 * An OpenTelemetry collector's door for metrics: reads OTLP over HTTP as protobuf by definitions that are not ours, and
 * keeps what it was sent. It can be told to be silent, or to refuse.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'

import protobuf from 'protobufjs'

// The part of opentelemetry-proto's `metrics.proto`, `common.proto` and `resource.proto` (v1) that is used.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
  message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
  message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
  message Scope { string name = 1; string version = 2; }
  message Metric {
    string name = 1; string description = 2; string unit = 3;
    oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; }
  }
  message Gauge { repeated NumberDataPoint data_points = 1; }
  message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
  message Histogram { repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
  message NumberDataPoint {
    repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
    oneof value { double as_double = 4; sfixed64 as_int = 6; }
  }
  message HistogramDataPoint {
    repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
    optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
    optional double min = 11; optional double max = 12;
  }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue {
    oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; }
  }
`)
const requestType = root.lookupType('ExportMetricsServiceRequest')

/** One series as it was received. */
export interface ReceivedPoint {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly value?: number
  readonly count?: number
  readonly sum?: number
  readonly bucketCounts?: readonly number[]
  readonly bounds?: readonly number[]
  readonly startNanos: string
  readonly timeNanos: string
}

/** One metric as it was received. */
export interface ReceivedMetric {
  readonly name: string
  readonly unit: string
  readonly kind: 'gauge' | 'sum' | 'histogram'
  readonly isMonotonic: boolean
  /** 2 is cumulative. */
  readonly temporality: number
  readonly points: readonly ReceivedPoint[]
}

/** One export as it was received. */
export interface ReceivedExport {
  readonly resource: Readonly<Record<string, unknown>>
  readonly metrics: readonly ReceivedMetric[]
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** A running receiver. */
export interface MetricsReceiver {
  /** Full address. */
  readonly url: string
  readonly exports: ReceivedExport[]
  /** What it does with requests. */
  mode: 'take' | 'refuse' | 'silent'
  requestCount: number
}

/** Starts a receiver. */
export async function startMetricsReceiver(t: TestContext): Promise<MetricsReceiver> {
  const server = createServer((request, response) => {
    receiver.requestCount += 1
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (receiver.mode === 'silent') return
      if (receiver.mode === 'refuse') {
        response.writeHead(400).end()
        return
      }
      const sent = Buffer.concat(chunks)
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
      receiver.exports.push({ ...decode(body), headers: request.headers })
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const receiver: MetricsReceiver = {
    url: `http://127.0.0.1:${port}/v1/metrics`,
    exports: [],
    mode: 'take',
    requestCount: 0
  }
  return receiver
}

interface RawPoint {
  readonly attributes?: RawAttributes
  readonly asDouble?: number
  readonly count?: string
  readonly sum?: number
  readonly bucketCounts?: readonly string[]
  readonly explicitBounds?: readonly number[]
  readonly startTimeUnixNano: string
  readonly timeUnixNano: string
}

type RawAttributes = readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]

interface RawData {
  readonly dataPoints?: readonly RawPoint[]
  readonly isMonotonic?: boolean
  readonly aggregationTemporality?: number
}

interface RawMetric {
  readonly name: string
  readonly unit?: string
  readonly gauge?: RawData
  readonly sum?: RawData
  readonly histogram?: RawData
}

interface RawRequest {
  readonly resourceMetrics?: readonly {
    readonly resource?: { readonly attributes?: RawAttributes }
    readonly scopeMetrics?: readonly { readonly metrics?: readonly RawMetric[] }[]
  }[]
}

function decode(body: Buffer): Omit<ReceivedExport, 'headers'> {
  // The types are those of the definitions above.
  const request = requestType.toObject(requestType.decode(body), { longs: String }) as RawRequest
  const [first] = request.resourceMetrics ?? []
  const metrics = (first?.scopeMetrics ?? []).flatMap(scope => scope.metrics ?? [])
  return { resource: attributesOf(first?.resource?.attributes), metrics: metrics.map(metricOf) }
}

function metricOf({ name, unit = '', gauge, sum, histogram }: RawMetric): ReceivedMetric {
  const kind = gauge !== undefined ? 'gauge' : sum !== undefined ? 'sum' : 'histogram'
  const data = gauge ?? sum ?? histogram ?? {}
  return {
    name,
    unit,
    kind,
    isMonotonic: data.isMonotonic ?? false,
    temporality: data.aggregationTemporality ?? 0,
    points: (data.dataPoints ?? []).map(point => ({
      attributes: attributesOf(point.attributes),
      ...(point.asDouble === undefined ? {} : { value: point.asDouble }),
      ...(point.count === undefined ? {} : { count: Number(point.count) }),
      ...(point.sum === undefined ? {} : { sum: point.sum }),
      ...(point.bucketCounts === undefined ? {} : { bucketCounts: point.bucketCounts.map(Number) }),
      ...(point.explicitBounds === undefined ? {} : { bounds: point.explicitBounds }),
      startNanos: point.startTimeUnixNano,
      timeNanos: point.timeUnixNano
    }))
  }
}

function attributesOf(attributes: RawAttributes = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
