/** `distributor.targets.<name>:` of type `stepFunctions`, `dynamoDb`, `s3`, `lambda` and `kafka`. */

import { z } from 'zod'

import { readTextTemplate } from '../../core/index.ts'
import { integer, topicName } from './common.ts'
import { awsPlace, recordTemplate, requestsAtOnce } from './distributor-targets-aws.ts'
import { commonTargetSettings } from './distributor-targets-http.ts'

/** A target of type `stepFunctions`. */
export const stepFunctionsTargetSchema = z
  .strictObject({
    type: z.literal('stepFunctions'),
    stateMachineArn: z
      .string()
      .regex(
        /^arn:aws[\w-]*:states:[a-z\d-]+:\d{12}:stateMachine:[^\s:]{1,80}(?::[^\s:]{1,80})?$/,
        'not the ARN of a state machine'
      )
      .describe('ARN of the state machine, of a version or of an alias.'),
    start: z
      .enum(['record', 'batch'])
      .optional()
      .describe('An execution for each record, or for all records of a request. Default `record`.'),
    namePrefix: z
      .string()
      .regex(/^[\w-]{1,30}$/, 'not 1 to 30 letters, digits, "-" or "_"')
      .optional()
      .describe(
        'Put before the names of executions, which are the ids of records. AWS executes a name once in 90 days: to ' +
          'execute replayed records again, give another prefix.'
      ),
    order: z
      .enum(['key', 'loose'])
      .optional()
      .describe('`key`: executions of one key are started one after the other. `loose`: at any time. Default `key`.'),
    ...awsPlace,
    concurrency: requestsAtOnce,
    ...commonTargetSettings
  })
  .describe('A state machine of AWS Step Functions.')

const attributeName = z
  .string()
  .min(1)
  .max(255)
  .refine(name => name !== 'comporta_version' && name !== 'comporta_origin', 'is written by condition: newer')

/** The path of a member, or a template. */
const attributeSource = z.union([z.string().regex(/^[^{}]+$/), recordTemplate])

const attributeSources = z.record(attributeName, attributeSource)

function isKeySize(sources: Readonly<Record<string, unknown>>): boolean {
  const { length } = Object.keys(sources)
  return length === 1 || length === 2
}

const dynamoDbShape = z.strictObject({
  type: z.literal('dynamoDb'),
  table: z
    .string()
    .regex(
      /^(?:arn:aws[\w-]*:dynamodb:[a-z\d-]+:\d{12}:table\/)?[a-zA-Z0-9_.-]{3,255}$/,
      'not the name or ARN of a table'
    )
    .describe('Name or ARN of the table.'),
  key: z
    .union([
      z
        .array(z.string().min(1))
        .min(1)
        .max(2)
        .refine(names => new Set(names).size === names.length, 'has the same name twice'),
      attributeSources.refine(isKeySize, 'is not one or two attributes')
    ])
    .describe(
      'Attributes of the primary key, partition key first: names of members, or attributes with what they are made ' +
        'of (`{ pk: order.id }`, `{ pk: "{topic}#{key}" }`). A record without them is dead-lettered.'
    ),
  attributes: attributeSources
    .optional()
    .describe(
      'Other attributes, each the path of a member or a template; one that is a single place keeps its type ' +
        '(`{offset}`). Default: all members of the value, which must be an object.'
    ),
  condition: z
    .enum(['newer'])
    .optional()
    .describe(
      '`newer`: an item is written only if the stored one is older, so that replays and late retries never go back ' +
        'in time. One request for each item instead of one for 25. Default: always written.'
    ),
  version: attributeSource
    .optional()
    .describe(
      'With `condition`: what is compared, number or text. Default `{offset}`, within one partition: an item from ' +
        'another partition counts as older.'
    ),
  originPrefix: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'not 1 to 128 signs of ASCII')
    .optional()
    .describe(
      'With `condition` by offset: text before topic and partition in `comporta_origin`. Give another one when a ' +
        'topic is made anew, whose offsets begin at 0 again, and for topics of one name in two clusters. Default none.'
    ),
  ...awsPlace,
  concurrency: requestsAtOnce,
  ...commonTargetSettings
})

/** A target of type `dynamoDb`. */
export const dynamoDbTargetSchema = dynamoDbShape
  .superRefine(({ version, condition, originPrefix }, context) => {
    if (originPrefix !== undefined && (condition === undefined || version !== undefined)) {
      const message = 'belongs to condition: newer without version, which compares offsets'
      context.addIssue({ code: 'custom', path: ['originPrefix'], message })
    }
    if (version !== undefined && condition === undefined) {
      const message = 'belongs to condition: newer; give it, or leave this out'
      context.addIssue({ code: 'custom', path: ['version'], message })
    }
  })
  .describe('A table of Amazon DynamoDB.')

const S3_PLACES = ['topic', 'partition', 'offsets', 'first', 'last', 'extension', 'timestamp', 'yyyy', 'MM', 'dd']
const ALL_S3_PLACES = [...S3_PLACES, 'HH', 'mm']

const objectKey = z
  .string()
  .min(1)
  .max(600)
  .superRefine((key, context) => {
    const problem = objectKeyProblem(key)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  })

function objectKeyProblem(key: string): string | undefined {
  const template = readTextTemplate(key)
  if (typeof template === 'string') return template
  const unknown = template.fields.find(field => !ALL_S3_PLACES.includes(field))
  if (unknown !== undefined) {
    return `has a place {${unknown}} that is none of ${ALL_S3_PLACES.map(field => `{${field}}`).join(' ')}`
  }
  const missing = ['topic', 'partition', 'offsets'].find(field => !template.fields.includes(field))
  if (missing !== undefined) return `has no {${missing}}: batches would overwrite each other`
  for (const [index, field] of template.fields.entries()) {
    const before = template.fields[index - 1]
    const isNeeded = [before, field].some(each => each === 'topic' || each === 'partition' || each === 'offsets')
    if (before === undefined || !isNeeded || /\D/.test(template.literals[index] ?? '')) continue
    return `has {${before}} and {${field}} without a sign between them: batches would overwrite each other`
  }
  return key.startsWith('/') ? 'begins with a slash, which would be a folder without a name' : undefined
}

const s3Shape = z.strictObject({
  type: z.literal('s3'),
  bucket: z
    .string()
    .regex(
      /^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:aws[\w-]*:s3[\w-]*:[a-z\d-]*:\d{12}:accesspoint[/:]\S+)$/,
      'neither the name of a bucket nor the ARN of an access point'
    )
    .describe('Name of the bucket, or ARN of an access point.'),
  key: objectKey
    .optional()
    .describe(
      'Key of an object: a template with `{topic}`, `{partition}`, `{offsets}`, which it must have, `{yyyy}` `{MM}` ' +
        '`{dd}` `{HH}` `{mm}` `{timestamp}` of the first record, `{first}`, `{last}` and `{extension}`. Default ' +
        '`{topic}/{yyyy}/{MM}/{dd}/{partition}/{offsets}.{extension}`.'
    ),
  format: z.enum(['ndjson', 'json']).optional().describe('A line per record, or one array. Default `ndjson`.'),
  gzip: z.boolean().optional().describe('Whether objects are compressed. Default false.'),
  contentType: z
    .string()
    .regex(/^[\w.+-]+\/[\w.+-]+(?:; ?[\x20-\x7e]+)?$/, 'not a media type')
    .optional()
    .describe('Default `application/x-ndjson` or `application/json`.'),
  storageClass: z
    .string()
    .regex(/^[A-Z_]+$/, 'not a storage class such as STANDARD_IA')
    .optional()
    .describe('Storage class. Default: the bucket’s.'),
  encryption: z
    .enum(['AES256', 'aws:kms', 'aws:kms:dsse'])
    .optional()
    .describe('Encryption at rest. Default: the bucket’s.'),
  kmsKeyId: z.string().min(1).optional().describe('Id or ARN of the KMS key. Default: AWS’s own for S3.'),
  pathStyle: z
    .boolean()
    .optional()
    .describe('Whether the bucket is part of the path and not of the host. Default: with `endpoint`.'),
  ...awsPlace,
  recordsMax: integer(1, 1_000_000).optional().describe('Most records in an object. Default 100,000.'),
  bytesMax: integer(1024, 268_435_456)
    .optional()
    .describe('Most bytes of records in an object, before compression. Default 64 MB.'),
  ...commonTargetSettings
})

/** A target of type `s3`. */
export const s3TargetSchema = s3Shape
  .superRefine(({ kmsKeyId, encryption }, context) => {
    if (kmsKeyId === undefined || encryption?.startsWith('aws:') === true) return
    const message = 'belongs to encryption: aws:kms; give it, or leave this out'
    context.addIssue({ code: 'custom', path: ['kmsKeyId'], message })
  })
  .describe('A bucket of Amazon S3: one object for all records of a request.')

/** A target of type `lambda`. */
export const lambdaTargetSchema = z
  .strictObject({
    type: z.literal('lambda'),
    functionName: z
      .string()
      .regex(
        /^(?:(?:arn:aws[\w-]*:lambda:[a-z\d-]+:)?\d{12}:function:)?[\w-]{1,64}(?::(?:\$LATEST|[\w-]{1,128}))?$/,
        'not the name or ARN of a function'
      )
      .describe('Name or ARN of the function.'),
    qualifier: z
      .string()
      .regex(/^(?:\$LATEST|[\w-]{1,128})$/, 'not a version or an alias')
      .optional()
      .describe('Version or alias. Default: `$LATEST`.'),
    invocationType: z
      .enum(['RequestResponse', 'Event'])
      .optional()
      .describe(
        '`RequestResponse` waits for the function, whose answer tells of each record. `Event` hands the records ' +
          'over: no order, no answer. Default `RequestResponse`.'
      ),
    ...awsPlace,
    recordsMax: integer(1, 10_000).optional().describe('Most records in one invocation. Default 500.'),
    ...commonTargetSettings
  })
  .describe('Another Lambda function, which gets the payload of the dispatcher.')

const secret = z
  .union([z.string().min(1), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })])
  .describe('Text, `{ env: NAME }` or `{ file: PATH }`. Secrets belong into the environment or a file.')

const address = z.string().regex(/^(\[[0-9a-fA-F:]+\]|[^\s:,[\]]+):\d{1,5}$/, 'not a broker address: write host:port')

const kafkaTls = z
  .strictObject({
    ca: secret.optional().describe('PEM of the authorities to trust. Default: those of Node.'),
    cert: secret.optional().describe('PEM of the client’s certificate (mTLS).'),
    key: secret.optional().describe('PEM of its private key.'),
    passphrase: secret.optional().describe('Passphrase of `key`.'),
    serverName: z.string().optional().describe('Name that the broker’s certificate must carry. Default: its host.')
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'cert and key go together')

const kafkaSasl = z.discriminatedUnion('mechanism', [
  z.strictObject({
    mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
    username: secret,
    password: secret
  }),
  z.strictObject({ mechanism: z.literal('AWS_MSK_IAM'), region: awsPlace.region.unwrap() })
])

const topicTemplate = recordTemplate.refine(
  text => text.includes('{') || topicName.safeParse(text).success,
  'not a topic name: 1 to 249 letters, digits, ".", "_" or "-"'
)

const kafkaShape = z.strictObject({
  type: z.literal('kafka'),
  bootstrapServers: z.array(address).min(1).describe('Brokers to start from. Source: Kafka `bootstrap.servers`.'),
  topic: topicTemplate.describe(
    'Topic, or a template of its name (`{topic}-eu`, `orders-{value.region}`). It must exist.'
  ),
  key: recordTemplate
    .optional()
    .describe('Key; a record that has nothing for it goes without one. Default `{key}`: the record’s own.'),
  compression: z
    .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    .optional()
    .describe('Default `none`. Source: Kafka `compression.type`.'),
  originHeaders: z
    .boolean()
    .optional()
    .describe('Whether records have headers with topic, partition and offset that they are from. Default true.'),
  copyHeaders: z
    .boolean()
    .optional()
    .describe('Whether records keep the headers that they had, as far as the event has them. Default true.'),
  otherCluster: z
    .boolean()
    .optional()
    .describe(
      'Whether this is another cluster than the records are from, so that topics may have the same name. Default ' +
        'false: a record is not written to a topic of the name that it is from.'
    ),
  clientId: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,249}$/, 'not 1 to 249 letters, digits, ".", "_" or "-"')
    .optional()
    .describe('Default `comporta-distributor`. Source: Kafka `client.id`.'),
  tls: z.union([z.boolean(), kafkaTls]).optional().describe('`true`, or whom to trust. Default false.'),
  sasl: kafkaSasl.optional().describe('How to authenticate. AWS_MSK_IAM signs with the role of the function.'),
  idleMaxMs: integer(1000, 3_600_000)
    .optional()
    .describe('Silence after which connections are made anew before they are used. Default 240,000 ms.'),
  recordsMax: integer(1, 100_000).optional().describe('Most records in one request. Default 10,000.'),
  ...commonTargetSettings
})

/** A target of type `kafka`. */
export const kafkaTargetSchema = kafkaShape
  .superRefine(({ sasl, tls }, context) => {
    if (sasl?.mechanism !== 'AWS_MSK_IAM' || (tls !== undefined && tls !== false)) return
    const message = 'AWS_MSK_IAM is offered with TLS only: add tls: true'
    context.addIssue({ code: 'custom', path: ['sasl'], message })
  })
  .describe('A topic of a Kafka cluster.')
