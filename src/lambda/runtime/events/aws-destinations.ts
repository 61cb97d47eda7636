/**
 * Sends records of asynchronous invocations to AWS services, at
 * `destinationEndpoint`, `AWS_ENDPOINT_URL` or AWS itself. Each client is loaded
 * when the first record needs it. The SDK repeats what fails for a while; what
 * then fails is the caller's to log and count, as Lambda counts
 * `DestinationDeliveryFailures`.
 */

import { randomUUID } from 'node:crypto'

import { invariant } from '../../../core/index.ts'
import { awsClientOptions } from '../../../targets/index.ts'
import type { Destination } from './destination-arn.ts'
import { recordKey } from './destination-record.ts'

/** What is sent, and what it is about. */
export interface Delivery {
  readonly destination: Exclude<Destination, { readonly kind: 'function' }>
  /** JSON text: the record, or the event for a dead letter target. */
  readonly body: string
  readonly functionName: string
  readonly functionArn: string
  readonly isSuccess: boolean
  readonly nowMs: number
  /** Only for a dead letter target. Source: Lambda developer guide, "Dead-letter queues", message attributes. */
  readonly deadLetter?: { readonly requestId: string; readonly errorCode: number; readonly errorMessage: string }
}

/** Where the services are. */
export interface DestinationOptions {
  readonly region: string
  readonly endpoint: string | undefined
}

/** Longest error message of a dead letter. Source: Lambda, "the first 1 KB of the error message". */
const ERROR_MESSAGE_MAX = 1_024

/** Attempts of the SDK, and the longest wait for each, in milliseconds. */
const ATTEMPTS = 3
const TIMEOUT_MS = 5_000

interface Client {
  destroy(): void
}

/** Clients of the services that destinations need. */
export class AwsDestinations {
  readonly #options: DestinationOptions
  readonly #clients = new Map<string, Client>()
  /** A client that is destroyed still waits for what it has sent. */
  readonly #closing = new AbortController()

  constructor(options: DestinationOptions) {
    this.#options = options
  }

  /** Sends one record. Rejects when the service refuses it or stays away. */
  async deliver(delivery: Delivery): Promise<void> {
    switch (delivery.destination.kind) {
      case 'queue':
        return this.#toQueue(delivery)
      case 'topic':
        return this.#toTopic(delivery)
      case 'bus':
        return this.#toBus(delivery)
      case 'bucket':
        return this.#toBucket(delivery)
    }
  }

  /** Ends what is under way: it rejects. */
  close(): void {
    this.#closing.abort()
    for (const client of this.#clients.values()) client.destroy()
    this.#clients.clear()
  }

  async #toQueue(delivery: Delivery): Promise<void> {
    const { SQSClient, GetQueueUrlCommand, SendMessageCommand } = await import('@aws-sdk/client-sqs')
    const { destination, body } = delivery
    invariant(destination.kind === 'queue', 'a queue')
    const { name, account, region } = destination
    const client = this.#client(`sqs ${region}`, () => new SQSClient(this.#config(region)))
    const place = new GetQueueUrlCommand({ QueueName: name, QueueOwnerAWSAccountId: account })
    const { QueueUrl } = await client.send(place, this.#how)
    const MessageAttributes = attributesOf(delivery)
    await client.send(new SendMessageCommand({ QueueUrl, MessageBody: body, MessageAttributes }), this.#how)
  }

  async #toTopic(delivery: Delivery): Promise<void> {
    const { SNSClient, PublishCommand } = await import('@aws-sdk/client-sns')
    const { destination, body } = delivery
    invariant(destination.kind === 'topic', 'a topic')
    const client = this.#client(`sns ${destination.region}`, () => new SNSClient(this.#config(destination.region)))
    const MessageAttributes = attributesOf(delivery)
    await client.send(new PublishCommand({ TopicArn: destination.arn, Message: body, MessageAttributes }), this.#how)
  }

  async #toBus(delivery: Delivery): Promise<void> {
    const { EventBridgeClient, PutEventsCommand } = await import('@aws-sdk/client-eventbridge')
    const { destination, body, functionArn, isSuccess, nowMs } = delivery
    invariant(destination.kind === 'bus', 'a bus')
    const create = (): InstanceType<typeof EventBridgeClient> => new EventBridgeClient(this.#config(destination.region))
    const client = this.#client(`events ${destination.region}`, create)
    const Entries = [
      {
        EventBusName: destination.arn,
        Source: 'lambda',
        DetailType: `Lambda Function Invocation Result - ${isSuccess ? 'Success' : 'Failure'}`,
        Resources: [destination.arn, functionArn],
        Detail: body,
        Time: new Date(nowMs)
      }
    ]
    const answer = await client.send(new PutEventsCommand({ Entries }), this.#how)
    const [entry] = answer.Entries ?? []
    if ((answer.FailedEntryCount ?? 0) > 0) throw new Error(`${entry?.ErrorCode}: ${entry?.ErrorMessage}`)
  }

  async #toBucket({ destination, body, functionName, nowMs }: Delivery): Promise<void> {
    const { S3Client, PutObjectCommand } = await import('@aws-sdk/client-s3')
    invariant(destination.kind === 'bucket', 'a bucket')
    const config = { ...this.#config(this.#options.region), forcePathStyle: this.#options.endpoint !== undefined }
    const client = this.#client('s3', () => new S3Client(config))
    const Key = recordKey(functionName, nowMs, randomUUID())
    await client.send(
      new PutObjectCommand({ Bucket: destination.name, Key, Body: body, ContentType: 'application/json' }),
      this.#how
    )
  }

  get #how(): { readonly abortSignal: AbortSignal } {
    return { abortSignal: this.#closing.signal }
  }

  /** An endpoint of this machine gets credentials that mean nothing, as everywhere in this package. */
  #config(region: string): Omit<ReturnType<typeof awsClientOptions>, 'maxAttempts'> & { readonly maxAttempts: number } {
    const { endpoint } = this.#options
    const place = region === '' ? this.#options.region : region
    return { ...awsClientOptions({ region: place, endpoint, timeoutMs: TIMEOUT_MS }), maxAttempts: ATTEMPTS }
  }

  #client<C extends Client>(name: string, create: () => C): C {
    const known = this.#clients.get(name)
    // Boundary: the name says which client it is.
    if (known !== undefined) return known as C
    const client = create()
    this.#clients.set(name, client)
    return client
  }
}

type Attributes = Record<string, { DataType: string; StringValue: string }>

function attributesOf({ deadLetter }: Delivery): Attributes | undefined {
  if (deadLetter === undefined) return undefined
  return {
    RequestID: { DataType: 'String', StringValue: deadLetter.requestId },
    ErrorCode: { DataType: 'Number', StringValue: String(deadLetter.errorCode) },
    ErrorMessage: { DataType: 'String', StringValue: deadLetter.errorMessage.slice(0, ERROR_MESSAGE_MAX) }
  }
}
