/**
 * Events for EventBridge, one per record: the value is `detail`, so it has to be a JSON object.
 *
 * An event counts in bytes of UTF-8: `source`, `detail-type`, `detail`, `resources`, and 14 for a time.
 * Source: EventBridge user guide, "Calculating PutEvents event entry size".
 */

import { parseExact, readsValue, type RecordTemplate, renderTemplate } from '../sinks/record-template.ts'
import type { SinkFailure, SinkRequest } from '../sinks/record-sink.ts'
import { isSampledContext, xrayHeader } from '../../telemetry/index.ts'
import type { Entry } from './entry-plan.ts'

/** One event. */
export interface EventEntry extends Entry {
  readonly source: string
  readonly detailType: string
  readonly detail: string
  readonly resources: readonly string[]
  readonly timeMs: number | undefined
  /** Where in a trace it is, if the trace is sampled: otherwise X-Ray would not sample it either. */
  readonly traceHeader: string | undefined
}

/** How events are made. */
export interface EventSettings {
  readonly source: RecordTemplate
  readonly detailType: RecordTemplate
  readonly resources: readonly RecordTemplate[]
  /** Most bytes of one event. */
  readonly bytesMax: number
}

const TIME_BYTES = 14
/** End of the year 9999. Producers that count in nanoseconds are beyond it. */
const TIME_MS_MAX = 253_402_300_799_999
/** Source: EventBridge API reference, PutEventsRequestEntry. */
const DETAIL_TYPE_MAX = 128

/** Makes the events of one request. */
export function makeEvents(
  request: SinkRequest,
  settings: EventSettings
): { readonly entries: readonly EventEntry[]; readonly refused: ReadonlyMap<number, SinkFailure> } {
  const entries: EventEntry[] = []
  const refused = new Map<number, SinkFailure>()
  const needsValue = [settings.source, settings.detailType, ...settings.resources].some(readsValue)
  for (const [index, detail] of request.texts.entries()) {
    const made = makeEvent(request, settings, { index, value: needsValue ? parseExact(detail) : undefined })
    if (typeof made === 'string') refused.set(index, { action: 'deadLetter', reason: made })
    else entries.push(made)
  }
  return { entries, refused }
}

/** One event, or why there is none. */
function makeEvent(
  request: SinkRequest,
  settings: EventSettings,
  record: { readonly index: number; readonly value: unknown }
): EventEntry | string {
  const detail = request.texts[record.index] ?? 'null'
  if (!/^\s*\{/.test(detail)) return 'the value is not a JSON object, and an event has nothing else as its detail'
  const source = renderTemplate(settings.source, request, record)
  const detailType = renderTemplate(settings.detailType, request, record)
  if (source === undefined || source === '') return 'the record has nothing for the source of an event'
  if (source.startsWith('aws.')) return 'the source of an event may not begin with "aws."'
  if (detailType === undefined || detailType === '') return 'the record has nothing for the detail-type of an event'
  if (detailType.length > DETAIL_TYPE_MAX)
    return `the detail-type of an event has at most ${DETAIL_TYPE_MAX} characters`
  const resources: string[] = []
  for (const template of settings.resources) {
    const text = renderTemplate(template, request, record)
    if (text !== undefined && text !== '') resources.push(text)
  }
  const timeMs = timeOf(request.timestamps?.[record.index])
  const texts = [source, detailType, detail, ...resources]
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), timeMs === undefined ? 0 : TIME_BYTES)
  if (bytes > settings.bytesMax) return `the event would have ${bytes} bytes, and ${settings.bytesMax} is the most`
  const { trace } = request
  const traceHeader = trace !== undefined && isSampledContext(trace) ? xrayHeader(trace) : undefined
  return {
    indexes: [record.index],
    bytes,
    group: undefined,
    source,
    detailType,
    detail,
    resources,
    timeMs,
    traceHeader
  }
}

/** A time as EventBridge takes it. Without one, or with one of no calendar, the event gets that of its arrival. */
function timeOf(timestamp = -1): number | undefined {
  return timestamp >= 0 && timestamp <= TIME_MS_MAX ? timestamp : undefined
}
