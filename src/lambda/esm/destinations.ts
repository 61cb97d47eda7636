/**
 * On-failure destinations: SQS and SNS get the record of the invocation, S3 the same with the event, a Kafka topic one
 * record per failed record with the key it had.
 *
 * A destination that refuses is asked again, without end: what failed is committed only once it has it. AWS's SDK is
 * loaded with the first use.
 */

import { randomUUID } from 'node:crypto'

import { Appender, type AppendRecord, type Cluster, type DeliveryListener } from '../../client/index.ts'
import { type Clock, PipelineError } from '../../core/index.ts'
import { awsClientOptions } from '../../targets/index.ts'
import {
  type FailureContext,
  type FailureNotice,
  failureText,
  failureTextForKafka,
  keyOf,
  objectKey
} from './failure-record.ts'
import type { EsmRecord } from './event-text.ts'
import type { Action } from './machine.ts'
import type { Destination } from './settings.ts'

/** Takes what a mapping has given up. */
export interface FailureSender {
  /** Resolves once the destination has it. @throws what the destination answered, or what kept it from answering. */
  send(action: Action): Promise<void>
  close(): Promise<void>
}

/** What a sender needs. */
export interface SenderOptions {
  readonly destination: Destination
  readonly context: FailureContext
  /** Of the mapping. */
  readonly uuid: string
  readonly cluster: Cluster
  readonly clock: Clock
  /** Address of SQS, SNS and S3, for emulators. Default: AWS's own chain (`AWS_ENDPOINT_URL…`). */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
}

/** Makes the sender of a destination. */
export async function createFailureSender(options: SenderOptions): Promise<FailureSender> {
  switch (options.destination.type) {
    case 'sqs':
      return await sqsSender(options, options.destination)
    case 'sns':
      return await snsSender(options, options.destination)
    case 's3':
      return await s3Sender(options, options.destination)
    case 'kafka':
      return kafkaSender(options, options.destination)
  }
}

type Of<T extends Destination['type']> = Extract<Destination, { type: T }>

function noticeOf(action: Action, clock: Clock): FailureNotice {
  return { action, requestId: randomUUID(), nowMs: clock.now() }
}

function clientSettings(options: SenderOptions, service: string, region?: string): ReturnType<typeof awsClientOptions> {
  const { endpoint, environment } = options
  return awsClientOptions({ region: options.region ?? region, endpoint, service, environment })
}

async function sqsSender(options: SenderOptions, { queueName, accountId, region }: Of<'sqs'>): Promise<FailureSender> {
  const { GetQueueUrlCommand, SendMessageCommand, SQSClient } = await import('@aws-sdk/client-sqs')
  const client = new SQSClient(clientSettings(options, 'SQS', region))
  let url: string | undefined
  return {
    send: async action => {
      url ??= (await client.send(new GetQueueUrlCommand({ QueueName: queueName, QueueOwnerAWSAccountId: accountId })))
        .QueueUrl
      const body = failureText(options.context, noticeOf(action, options.clock), false)
      await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: body }))
    },
    close: async () => client.destroy()
  }
}

async function snsSender(options: SenderOptions, { topicArn, region }: Of<'sns'>): Promise<FailureSender> {
  const { PublishCommand, SNSClient } = await import('@aws-sdk/client-sns')
  const client = new SNSClient(clientSettings(options, 'SNS', region))
  return {
    send: async action => {
      const message = failureText(options.context, noticeOf(action, options.clock), false)
      await client.send(new PublishCommand({ TopicArn: topicArn, Message: message }))
    },
    close: async () => client.destroy()
  }
}

async function s3Sender(options: SenderOptions, { bucket }: Of<'s3'>): Promise<FailureSender> {
  const { PutObjectCommand, S3Client } = await import('@aws-sdk/client-s3')
  // An emulator on this machine has no host name for each bucket.
  const client = new S3Client({ ...clientSettings(options, 'S3'), forcePathStyle: options.endpoint !== undefined })
  return {
    send: async action => {
      const notice = noticeOf(action, options.clock)
      const key = objectKey(options.uuid, options.context.origin.topic, notice)
      const body = failureText(options.context, notice, true)
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentType: 'application/json' }))
    },
    close: async () => client.destroy()
  }
}

/**
 * Records that are in the topic are not written again when others of the batch are refused. One whose copy is larger
 * than the topic takes goes without its payload, as to SQS: it would hold up its partition for good.
 */
function kafkaSender(options: SenderOptions, { topic }: Of<'kafka'>): FailureSender {
  const appender = new Appender({ cluster: options.cluster, clock: options.clock })
  const written = new WeakSet<EsmRecord>()
  const tooLarge = new WeakSet<EsmRecord>()
  return {
    send: async action => {
      const notice = noticeOf(action, options.clock)
      const verdicts = new Verdicts()
      for (const record of action.records) {
        if (written.has(record)) continue
        const text = failureTextForKafka(options.context, notice, record, !tooLarge.has(record))
        const copy = { topic, key: keyOf(record), value: Buffer.from(text) }
        while (!appender.append(copy, verdicts)) await appender.room()
        verdicts.expect(copy, record)
      }
      for (const { record, error } of await verdicts.all()) {
        if (error === undefined) written.add(record)
        else if (PipelineError.is(error, 'ERR_CLIENT_RECORD_TOO_LARGE')) tooLarge.add(record)
      }
      verdicts.throwFirst()
    },
    close: () => appender.close()
  }
}

interface Verdict {
  readonly record: EsmRecord
  readonly error: PipelineError | undefined
}

/** What became of the records of one call. */
class Verdicts implements DeliveryListener {
  readonly #records = new Map<AppendRecord, EsmRecord>()
  readonly #errors = new Map<AppendRecord, PipelineError>()
  #count = 0
  #whenSettled: (() => void) | undefined

  expect(copy: AppendRecord, record: EsmRecord): void {
    this.#records.set(copy, record)
  }

  delivered({ recordCount }: { readonly recordCount: number }): void {
    this.#settled(recordCount)
  }

  failed(error: PipelineError, copies: AppendRecord[]): void {
    for (const copy of copies) this.#errors.set(copy, error)
    this.#settled(copies.length)
  }

  /** Waits until each record has a verdict. */
  async all(): Promise<Verdict[]> {
    await new Promise<void>(resolve => {
      this.#whenSettled = resolve
      this.#settled(0)
    })
    return [...this.#records].map(([copy, record]) => ({ record, error: this.#errors.get(copy) }))
  }

  throwFirst(): void {
    for (const error of this.#errors.values()) throw error
  }

  #settled(count: number): void {
    this.#count += count
    if (this.#count >= this.#records.size) this.#whenSettled?.()
  }
}
