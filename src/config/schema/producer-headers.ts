/** `producer.headers:` — what goes with every record, beside its key and value. */

import { z } from 'zod'

import { type Report, topicName } from './common.ts'

const headerName = z
  .string()
  .regex(/^[!-~]{1,255}$/, 'not a header’s name: 1 to 255 visible ASCII characters, no space')
  .describe('Name of the header.')

const headerValue = z
  .string()
  .max(1024)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'has control characters')

const field = z
  .string()
  .min(1)
  .optional()
  .describe('Field of the event that has it, dots for nested ones. It counts before what the source brings.')

const correlationId = z.strictObject({
  name: headerName.default('correlation-id'),
  field,
  httpHeaders: z
    .array(headerName)
    .default(['x-correlation-id', 'x-request-id'])
    .describe('Headers of an HTTP request that may have it; the first that is there counts.'),
  generate: z
    .boolean()
    .default(true)
    .describe('Whether a random UUID is made where there is none: one per HTTP request, else one per event.')
})

const trace = z.strictObject({
  field: field.describe('Field of the event that has a `traceparent`. It counts before what the source brings.'),
  stateField: field.describe('Field of the event that has its `tracestate`.'),
  generate: z
    .boolean()
    .default(true)
    .describe('Whether a new trace begins where there is no valid one: one per HTTP request, else one per event.'),
  sampledRatio: z.number().min(0).max(1).default(1).describe('Share of the new traces that are marked as sampled.')
})

const schemaId = z.strictObject({
  name: headerName.default('schema-id'),
  value: headerValue.optional().describe('Id of the schema of all topics that `topics` does not name.'),
  topics: z.record(topicName, headerValue).default({}).describe('Ids of the schemas of topics.')
})

const producerId = z.strictObject({
  name: headerName.default('producer-id'),
  value: headerValue.optional().describe('Default: name of the machine and number of the process.')
})

const ingestTime = z.strictObject({
  name: headerName.default('ingest-time'),
  format: z
    .enum(['iso', 'epochMs'])
    .default('iso')
    .describe('`iso`: 2026-01-31T12:00:00.000Z. `epochMs`: milliseconds since 1970, in digits.')
})

const idempotencyKey = z.strictObject({ name: headerName.default('idempotency-key') })

/** `producer.headers:` */
export const headersSchema = z
  .strictObject({
    correlationId: z
      .union([z.boolean().transform(isOn => (isOn ? correlationId.parse({}) : undefined)), correlationId])
      .optional()
      .describe('Names the request or job that an event belongs to.'),
    trace: z
      .union([z.boolean().transform(isOn => (isOn ? trace.parse({}) : undefined)), trace])
      .optional()
      .describe('Headers `traceparent` and `tracestate`. Source: W3C Trace Context, OpenTelemetry.'),
    schemaId: schemaId.optional().describe('Id of the schema that the event follows.'),
    producerId: z
      .union([z.boolean().transform(isOn => (isOn ? producerId.parse({}) : undefined)), producerId])
      .optional()
      .describe('Which producer published the event.'),
    ingestTime: z
      .union([z.boolean().transform(isOn => (isOn ? ingestTime.parse({}) : undefined)), ingestTime])
      .optional()
      .describe('When the source received the event.'),
    idempotencyKey: z
      .union([z.boolean().transform(isOn => (isOn ? idempotencyKey.parse({}) : undefined)), idempotencyKey])
      .optional()
      .describe(
        'The `Idempotency-Key` of the HTTP request, `/` and the line of the event: the same for the same event sent ' +
          'again, to whichever instance.'
      ),
    static: z.record(headerName, headerValue).default({}).describe('Headers that all records have.')
  })
  .describe('Headers of the records, and of dead letters. Default: none.')

/** `producer.headers:` as read. */
export type HeaderSettings = z.infer<typeof headersSchema>

/** Reports names that two headers have. */
export function checkHeaders(headers: HeaderSettings | undefined, report: Report): void {
  if (headers === undefined) return
  const { correlationId: correlation, trace: tracing, schemaId: schema, producerId: producer } = headers
  const names = [
    correlation?.name,
    ...(tracing === undefined ? [] : ['traceparent', 'tracestate']),
    schema?.name,
    producer?.name,
    headers.ingestTime?.name,
    headers.idempotencyKey?.name,
    ...Object.keys(headers.static)
  ].filter(name => name !== undefined)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) report(['producer', 'headers'], `two headers have the name ${twice}`)
  const own = names.find(name => name.startsWith('comporta-'))
  if (own !== undefined) report(['producer', 'headers'], `names that begin with comporta- are taken: ${own}`)
  if (schema !== undefined && schema.value === undefined && Object.keys(schema.topics).length === 0)
    report(['producer', 'headers', 'schemaId'], 'says no id: set `value` or `topics`')
}
