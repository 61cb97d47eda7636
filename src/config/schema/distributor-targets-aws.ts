/** `distributor.targets.<name>:` of type `sqs`, `sns`, `eventBridge` and `kinesis`. */

import { z } from 'zod'

import { readTextTemplate } from '../../core/index.ts'
import { httpUrl, integer } from './common.ts'
import { commonTargetSettings } from './distributor-targets-http.ts'

const PLACES = ['topic', 'partition', 'offset', 'timestamp', 'key', 'id']

/** What is wrong with a template of a record; `undefined` if it is one. */
function templateProblem(text: string): string | undefined {
  const template = readTextTemplate(text)
  if (typeof template === 'string') return template
  const unknown = template.fields.find(name => !PLACES.includes(name) && name !== 'value' && !/^value\../.test(name))
  if (unknown === undefined) return undefined
  return `has a place {${unknown}} that is none of ${PLACES.map(name => `{${name}}`).join(' ')} {value.FIELD}`
}

/** A text with places for what a record has: `{key}`, `{topic}`, `{value.truck.id}`. */
export const recordTemplate: z.ZodString = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    const problem = templateProblem(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  })

/** Where a service of AWS is. */
export const awsPlace = {
  region: z
    .string()
    .regex(/^[a-z]{2,}(-[a-z]+)+-\d+$/, 'not an AWS region such as eu-west-1')
    .optional()
    .describe('AWS region. Default: the one in the address, else AWS’s own chain.'),
  endpoint: httpUrl
    .optional()
    .describe('Address of the service: an emulator, a VPC endpoint. Default: `AWS_ENDPOINT_URL…`, else AWS’s.')
}

/** How many requests a target in AWS gets at once. */
export const requestsAtOnce = integer(1, 50).optional().describe('Most requests at once. Default 8.')

const ATTRIBUTE = /^(?!(?:aws|amazon)\.)(?!\.)(?!.*\.\.)[\w.-]{1,256}(?<!\.)$/i

const messageSettings = {
  ...awsPlace,
  message: z
    .enum(['record', 'batch'])
    .optional()
    .describe('`record`: a message per record. `batch`: a message holds as many records as fit. Default `record`.'),
  group: recordTemplate
    .optional()
    .describe(
      'Message group. Default with FIFO: `{key}` (`batch`: `{topic}-{partition}`), and topic and partition for a ' +
        'record without a key. Without FIFO: none; given, it is for fair queues.'
    ),
  order: z
    .enum(['key', 'loose'])
    .optional()
    .describe(
      'FIFO: `key` puts each group into a request at most once, so that order holds whatever fails; `loose` fills ' +
        'requests with one group, and a message that AWS failed to take can come after later ones. Default `key`.'
    ),
  deduplicationId: recordTemplate
    .optional()
    .describe(
      'FIFO: what a record is deduplicated by for five minutes. Default `{id}`: topic, partition and offset. ' +
        'Two clusters with topics of one name need ids that differ.'
    ),
  attributes: z
    .record(z.string().regex(ATTRIBUTE, 'not a name of a message attribute'), recordTemplate)
    .refine(attributes => Object.keys(attributes).length <= 10, 'more than 10, which is what a message can have')
    .optional()
    .describe('Message attributes. Default: topic, partition, offset and key (`batch`: no key).'),
  messageRecordsMax: integer(1, 10_000).optional().describe('Most records of a message with `batch`. Default 500.'),
  concurrency: requestsAtOnce,
  ...commonTargetSettings
}

/** Reports what means something with FIFO only. */
function checkFifo(
  address: string,
  settings: { readonly order?: string | undefined; readonly deduplicationId?: string | undefined },
  context: z.RefinementCtx
): void {
  if (address.endsWith('.fifo')) return
  for (const name of ['order', 'deduplicationId'] as const) {
    if (settings[name] === undefined) continue
    context.addIssue({ code: 'custom', path: [name], message: 'is for FIFO, and the address does not end in .fifo' })
  }
}

/** A target of type `sqs`. */
export const sqsTargetSchema = z
  .strictObject({
    type: z.literal('sqs'),
    queueUrl: httpUrl
      .regex(/\/[\w-]{1,75}(?:[\w-]{0,5}|\.fifo)$/, 'does not end in the name of a queue')
      .describe('URL of the queue. One that ends in `.fifo` is a FIFO queue.'),
    bytesMax: integer(1024, 1_048_576)
      .optional()
      .describe('Most bytes of a request, and of a message with its attributes. Default 1048576.'),
    ...messageSettings
  })
  .superRefine((settings, context) => checkFifo(settings.queueUrl, settings, context))
  .describe('A queue of Amazon SQS.')

/** A target of type `sns`. */
export const snsTargetSchema = z
  .strictObject({
    type: z.literal('sns'),
    topicArn: z
      .string()
      .regex(/^arn:aws[\w-]*:sns:[a-z\d-]+:\d{12}:[\w-]{1,251}(?:[\w-]{0,5}|\.fifo)$/, 'not the ARN of a topic')
      .describe('ARN of the topic. One that ends in `.fifo` is a FIFO topic.'),
    bytesMax: integer(1024, 1_048_576)
      .optional()
      .describe(
        'Most bytes of a request, and of a message with its attributes. Default 262144; more where the topic’s ' +
          '`MaximumMessageSize` says so.'
      ),
    ...messageSettings
  })
  .superRefine((settings, context) => checkFifo(settings.topicArn, settings, context))
  .describe('A topic of Amazon SNS.')

/** A target of type `eventBridge`. */
export const eventBridgeTargetSchema = z
  .strictObject({
    type: z.literal('eventBridge'),
    eventBus: z
      .string()
      .regex(/^(?:arn:aws[\w-]*:events:[a-z\d-]+:\d{12}:event-bus\/)?[/.\-_A-Za-z0-9]{1,256}$/, 'not an event bus')
      .optional()
      .describe('Name or ARN of the event bus. Default `default`.'),
    ...awsPlace,
    source: recordTemplate
      .refine(text => !text.startsWith('aws.'), 'begins with "aws.", which is reserved')
      .optional()
      .describe('`source` of an event. Default `comporta`. A record without a text for it is dead-lettered.'),
    detailType: recordTemplate
      .optional()
      .describe('`detail-type` of an event. Default `{topic}`. A record without a text for it is dead-lettered.'),
    resources: z
      .array(recordTemplate)
      .optional()
      .describe('`resources` of an event, for example `kafka:{id}`; those without a text are left out. Default none.'),
    bytesMax: integer(1024, 1_048_576).optional().describe('Most bytes of a request, or event. Default 1048575.'),
    concurrency: requestsAtOnce,
    ...commonTargetSettings
  })
  .describe('An event bus of Amazon EventBridge.')

/** A target of type `kinesis`. */
export const kinesisTargetSchema = z
  .strictObject({
    type: z.literal('kinesis'),
    stream: z
      .string()
      .regex(/^(?:arn:aws[\w-]*:kinesis:[a-z\d-]+:\d{12}:stream\/)?[a-zA-Z0-9_.-]{1,128}$/, 'not a stream')
      .describe('Name or ARN of the stream.'),
    ...awsPlace,
    partitionKey: recordTemplate
      .optional()
      .describe('Partition key. Default `{key}`. A record without a text for it is spread by its id.'),
    order: z
      .enum(['key', 'loose'])
      .optional()
      .describe(
        '`key` puts each partition key into a request at most once, so that order holds whatever fails; `loose` ' +
          'fills requests, and a record that Kinesis refused comes after later ones. Default `key`.'
      ),
    requestRecordsMax: integer(1, 500).optional().describe('Most records of a request. Default 500.'),
    bytesMax: integer(1024, 10_485_760).optional().describe('Most bytes of a request and its keys. Default 5242880.'),
    recordBytesMax: integer(1024, 10_485_760)
      .optional()
      .describe('Most bytes of a record with its key. Default 1048576; more where `MaxRecordSizeInKiB` says so.'),
    concurrency: requestsAtOnce,
    ...commonTargetSettings
  })
  .refine(({ recordBytesMax = 0, bytesMax = 5_242_880 }) => recordBytesMax <= bytesMax, {
    path: ['recordBytesMax'],
    error: 'is more than bytesMax, so such a record would fit into no request'
  })
  .describe('A stream of Amazon Kinesis Data Streams.')
