/** What CloudWatch makes of the output of a function. */

import assert from 'node:assert/strict'

/** A document in the embedded metric format. */
export interface EmfDocument {
  readonly namespace: string
  /** Dimensions with their values. */
  readonly dimensions: Readonly<Record<string, string>>
  /** Values by name of the metric. */
  readonly metrics: Readonly<Record<string, number | readonly number[]>>
  readonly units: Readonly<Record<string, string>>
}

/** Source: CloudWatch API reference, MetricDatum. */
const UNITS = new Set(
  'Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Percent Count None'.split(' ')
)

/**
 * Reads a document as strictly as the specification has it. Source: CloudWatch user guide, "Embedded metric format
 * specification".
 */
export function readEmf(line: string): EmfDocument {
  assert.ok(Buffer.byteLength(line) <= 1_048_576, 'a log event has 1 MB at most')
  const root = JSON.parse(line) as Record<string, unknown>
  const metadata = root['_aws'] as { Timestamp: unknown; CloudWatchMetrics: unknown[] }
  assert.ok(Number.isInteger(metadata.Timestamp), 'Timestamp')
  assert.equal(metadata.CloudWatchMetrics.length, 1)
  const directive = metadata.CloudWatchMetrics[0] as {
    Namespace: string
    Dimensions: string[][]
    Metrics: { Name: string; Unit?: string }[]
  }
  assert.ok(directive.Namespace.length >= 1 && directive.Namespace.length <= 255, 'Namespace')
  assert.equal(directive.Dimensions.length, 1)
  const [set = []] = directive.Dimensions
  assert.ok(set.length <= 30, 'dimensions')
  const dimensions: Record<string, string> = {}
  for (const name of set) {
    const value = root[name]
    assert.ok(typeof value === 'string' && value !== '' && value.length <= 1_024, `dimension ${name}`)
    dimensions[name] = value
  }
  assert.ok(directive.Metrics.length > 0 && directive.Metrics.length <= 100, 'metrics')
  const metrics: Record<string, number | readonly number[]> = {}
  const units: Record<string, string> = {}
  for (const { Name: name, Unit: unit = 'None' } of directive.Metrics) {
    const value = root[name]
    const values: unknown[] = Array.isArray(value) ? value : [value]
    assert.ok(values.length <= 100 && values.every(each => typeof each === 'number' && Number.isFinite(each)), name)
    assert.ok(name.length <= 255 && UNITS.has(unit), name)
    metrics[name] = value as number | number[]
    units[name] = unit
  }
  return { namespace: directive.Namespace, dimensions, metrics, units }
}
