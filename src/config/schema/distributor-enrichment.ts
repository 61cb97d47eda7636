/** `distributor.enrich` — what is looked up for records — and `distributor.observability`. */

import { z } from 'zod'

import { headerProblem, readTextTemplate } from '../../core/index.ts'
import { httpUrl, integer, milliseconds } from './common.ts'

const awsPlace = {
  region: z.string().min(1).optional().describe('AWS region. Default: AWS’s own chain.'),
  endpoint: httpUrl.optional().describe('Address of the service: an emulator, a VPC endpoint. Default: AWS’s.')
}

/** What is wrong with a key: a field, or a template of fields. */
function keyProblem(text: string): string | undefined {
  const template = /[{}]/.test(text) ? readTextTemplate(text) : { fields: [text] }
  if (typeof template === 'string') return template
  if (template.fields.length === 0) return 'names no field: every record would have the same key'
  return template.fields.some(field => field.split('.').includes('')) ? 'has a field with an empty name' : undefined
}

/** What is wrong with an address to look up at. */
function addressProblem(url: string, isBatch: boolean): string | undefined {
  if (!URL.canParse(url)) return 'is not an http or https address'
  const { origin, username } = new URL(url)
  if (!url.startsWith(origin) || origin.includes('{') || username !== '') {
    return 'has a user name, {key} or capitals before its path; credentials belong into headers'
  }
  const hasPlace = url.includes('{key}')
  if (isBatch && hasPlace) return 'has {key}, but with batch the keys are in the body'
  return isBatch || hasPlace ? undefined : 'has no {key}; with batch: true the keys are in the body'
}

const key = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    const message = keyProblem(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

const attributeType = z.enum(['S', 'N']).default('S').describe('`S` text, `N` number.')

const dynamoDb = z.strictObject({
  type: z.literal('dynamoDb'),
  table: z
    .string()
    .regex(/^(?:arn:[\w-]+:dynamodb:[\w-]*:\d*:table\/)?[\w.-]{3,255}$/, 'not the name or ARN of a table')
    .describe('Name or ARN of the table.'),
  partitionKey: z
    .union([z.string().min(1), z.strictObject({ name: z.string().min(1), type: attributeType })])
    .describe('Attribute that the key is compared with: its name if it is text, else `{ name, type: N }`.'),
  sortKey: z
    .strictObject({
      name: z.string().min(1),
      type: attributeType,
      value: z
        .string()
        .min(1)
        .refine(text => !/[{}]/.test(text) || keyProblem(text) === undefined, 'not a constant or a template')
        .describe('A constant, or a template with fields of the event: `SITE#{site.id}`.')
    })
    .optional()
    .describe('The sort key of a table that has one.'),
  attributes: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Attributes at the top of the item that are added. Default: all.'),
  consistentRead: z
    .boolean()
    .default(false)
    .describe('Writes that ended before the look-up are seen for sure, at twice the price.'),
  ...awsPlace
})

const http = z
  .strictObject({
    type: z.literal('http'),
    url: z
      .string()
      .regex(/^https?:\/\//, 'not an http:// or https:// address')
      .describe('With `{key}` in path or query: a GET for each key. With `batch`: a POST of `{"keys":[…]}`.'),
    batch: z
      .boolean()
      .default(false)
      .describe('Answers are `{"items":{"<key>":…}}`, or `{"items":[…]}` in the order of the keys.'),
    headers: z
      .record(z.string(), z.union([z.string(), z.strictObject({ env: z.string().min(1) })]))
      .optional()
      .describe('Headers of every request; `{ env: NAME }` is the value of an environment variable of the function.'),
    answerBytesMax: integer(2, 67_108_864).default(4_194_304).describe('Largest answer that is read, in bytes.')
  })
  .superRefine(({ url, batch, headers = {} }, context) => {
    const message = addressProblem(url, batch)
    if (message !== undefined) context.addIssue({ code: 'custom', path: ['url'], message })
    for (const [name, value] of Object.entries(headers)) {
      const problem = headerProblem(name, typeof value === 'string' ? value : '')
      if (problem !== undefined) context.addIssue({ code: 'custom', path: ['headers', name], message: problem })
    }
  })

const s3 = z
  .strictObject({
    type: z.literal('s3'),
    bucket: z
      .string()
      .regex(/^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:[\w:/-]+)$/, 'not the name of a bucket')
      .describe('Name of the bucket.'),
    key: z
      .string()
      .min(1)
      .max(1024)
      .describe('Name of the object for a key (`drivers/{key}.json`), or of one object that is the whole table.'),
    format: z
      .enum(['json', 'ndjson'])
      .optional()
      .describe('Form of a whole table: one JSON object by key, or an object in each line. Default: by the ending.'),
    keyField: z.string().min(1).optional().describe('Member of each line that is its key, for `ndjson`. Default `id`.'),
    tableBytesMax: integer(2, 268_435_456)
      .optional()
      .describe('Largest whole table that is read, in bytes. Default 33554432.'),
    ...awsPlace
  })
  .superRefine(({ key: name, format, keyField, tableBytesMax }, context) => {
    if (!name.includes('{key}')) return
    for (const [member, value] of Object.entries({ format, keyField, tableBytesMax })) {
      if (value === undefined) continue
      context.addIssue({ code: 'custom', path: [member], message: 'is for one object that is the whole table' })
    }
  })

const cache = z
  .strictObject({
    ttlMs: milliseconds().default(60_000).describe('How long a value is used. 0 remembers nothing.'),
    negativeTtlMs: milliseconds().default(10_000).describe('How long it is remembered that there is none.'),
    staleMs: milliseconds(0, 604_800_000)
      .default(0)
      .describe('How much longer an old value may be used while the source fails.'),
    entriesMax: integer(1, 10_000_000).default(10_000).describe('Most values.'),
    bytesMax: integer(1024, 2_147_483_648).default(33_554_432).describe('Most bytes: ten for each character.')
  })
  .optional()
  .describe('What a warm environment remembers. A whole table in S3 is kept as it is: only the times count.')

const enrichment = z.strictObject({
  into: z
    .string()
    .regex(/^[^.]+$/, 'a name without dots: the member is added at the top of the event')
    .refine(name => name.isWellFormed(), 'not well-formed Unicode')
    .refine(name => name !== '__proto__', '"__proto__" would change what objects are in most programs')
    .describe('Name of the member that is added to the event.'),
  key: key.describe('Field that names what to look up (`driver.id`), or a template (`DRIVER#{driver.id}`).'),
  from: z.discriminatedUnion('type', [dynamoDb, http, s3]).describe('Where it is looked up.'),
  cache,
  missing: z
    .enum(['pass', 'null', 'deadLetter'])
    .default('pass')
    .describe('A record without a key, or with one that finds nothing: as it is, with null, or not at all.'),
  onError: z
    .enum(['retry', 'pass'])
    .default('retry')
    .describe('While the source fails a record comes again, or is delivered as it is.'),
  onConflict: z
    .enum(['keep', 'replace'])
    .default('keep')
    .describe('The event’s own member of that name stays, without a look-up, or gives way.'),
  timeoutMs: milliseconds(1, 900_000).default(2000).describe('Longest time for the look-ups of one event.'),
  concurrency: integer(1, 256).default(8).describe('Most requests at the same time.'),
  batchMax: integer(1, 1000).default(100).describe('Most keys in one request, where the source takes several.'),
  valueBytesMax: integer(2, 1_048_576).default(65_536).describe('Largest value that is added, in bytes.')
})

/** `distributor.enrich` */
export const enrichSchema = z
  .array(enrichment)
  .max(16)
  .superRefine((list, context) => {
    for (const [index, { into }] of list.entries()) {
      const first = list.findIndex(each => each.into === into)
      if (first === index) continue
      const message = `"${into}" is added by entry ${first} already`
      context.addIssue({ code: 'custom', path: [index, 'into'], message })
    }
  })
  .describe('What is looked up for each record before it is routed, and added to it.')

/** `distributor.observability` */
export const observabilitySchema = z
  .strictObject({
    logs: z.boolean().default(false).describe('Lines of JSON by Powertools’ Logger.'),
    metrics: z
      .union([
        z.literal(false),
        z.strictObject({
          namespace: z
            .string()
            .regex(/^[\w./#:-]{1,255}$/, 'not a namespace of CloudWatch')
            .describe('Namespace of the metrics in CloudWatch.'),
          service: z.string().min(1).max(255).optional().describe('Dimension `service`. Default: the function’s name.')
        })
      ])
      .default(false)
      .describe('Metrics in CloudWatch’s embedded format, by Powertools’ Metrics.'),
    traces: z
      .boolean()
      .default(false)
      .describe('A subsegment for each request to a target. Needs the package @aws-lambda-powertools/tracer.'),
    otlp: z
      .strictObject({
        url: httpUrl.describe('Full address of the collector, path included: http://127.0.0.1:4318/v1/traces.'),
        headers: z
          .record(z.string(), z.union([z.string(), z.strictObject({ env: z.string().min(1) })]))
          .optional()
          .describe('Headers of each request: texts, or `{ env: NAME }`.'),
        ratio: z.number().min(0).max(1).optional().describe('Share of the traces that begin here. Default 0.01.'),
        slowMs: milliseconds(1, 900_000)
          .optional()
          .describe('From how long on an invocation is recorded in any case. Default 5000.')
      })
      .optional()
      .describe(
        'Spans of OpenTelemetry, one for each invocation and each request to a target. In the embedded runtime ' +
          '`telemetry.traces` sets it where it is missing.'
      )
  })
  .describe('What the function tells CloudWatch, X-Ray and OpenTelemetry.')
