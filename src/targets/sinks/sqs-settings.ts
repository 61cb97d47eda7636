/** Settings of an SQS target. Apart from the sink, which needs AWS's SDK. */

import { isLoopback } from '../aws/aws-client.ts'
import { checkMessageSettings, regionOfQueueUrl } from '../aws/aws-settings.ts'
import { OptionCheck } from './option-check.ts'

/** An SQS target in the configuration. */
export interface SqsSinkSettings {
  readonly type: 'sqs'
  /** URL of the queue. One that ends in `.fifo` is a FIFO queue. */
  readonly queueUrl: string
  /** AWS region. Default: the one in the URL, else AWS's own chain. */
  readonly region?: string
  /** Address of SQS: an emulator, a VPC endpoint. Default: `AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL`, AWS's. */
  readonly endpoint?: string
  /** `record`: a message per record. `batch`: a message holds as many records as fit. Default `record`. */
  readonly message?: 'record' | 'batch'
  /**
   * Template of the message group. Default in a FIFO queue: `{key}` (`batch`: `{topic}-{partition}`); a record that has
   * nothing for it has the group `topic-partition`. A standard queue takes one for its fair queues; default: none.
   */
  readonly group?: string
  /**
   * FIFO: `key` puts each group into a request at most once, so that order holds whatever fails; `loose` fills requests
   * with one group, which is faster for few groups, and lets a message that SQS failed to take come after later ones.
   * Default `key`.
   */
  readonly order?: 'key' | 'loose'
  /**
   * FIFO: template of what a record is deduplicated by for five minutes; `batch`: what its message's id is made of.
   * Default `{id}`: topic, partition and offset. Two clusters with topics of one name need ids that differ.
   */
  readonly deduplicationId?: string
  /** Message attributes: templates by name. Default: `topic`, `partition`, `offset` and `key` (`batch`: no `key`). */
  readonly attributes?: Readonly<Record<string, string>>
  /**
   * Most bytes of a request, and of a message. Integer, 1_024 to 1_048_576. Default 1_048_576. Source: SQS API
   * reference, SendMessageBatch. (262_144 until August 2025, and where a queue's `MaximumMessageSize` says so.)
   */
  readonly bytesMax?: number
  /** Most records of a message with `message: batch`. Integer, 1 to 10_000. Default 500. */
  readonly messageRecordsMax?: number
  /** Most requests at once. Integer, 1 to 50. Default 8. */
  readonly concurrency?: number
}

/** Source: SQS developer guide, "Message quotas"; API reference, SendMessageBatch. */
export const SQS_BYTES_MAX = 1_048_576

/** Every problem of an SQS target's settings. */
export function sqsSinkProblems(given: unknown): string[] {
  const check = new OptionCheck(given)
  const address = check.text('queueUrl', {
    isRequired: true,
    pattern: /^https?:\/\/[^\s/]+(?:\/[^\s/]+)*\/[\w-]{1,75}(?:[\w-]{0,5}|\.fifo)$/,
    hint: 'the URL of a queue, such as https://sqs.eu-west-1.amazonaws.com/123456789012/orders'
  })
  checkMessageSettings(check, { address, bytesMost: SQS_BYTES_MAX })
  return check.finish()
}

/** Whether a queue is one that keeps order. */
export function isFifoQueue(queueUrl: string): boolean {
  return queueUrl.endsWith('.fifo')
}

/** Address of SQS: of the settings, else of a queue on this machine, whose URL says where it is. */
export function endpointOfSqs({
  endpoint,
  queueUrl
}: Pick<SqsSinkSettings, 'endpoint' | 'queueUrl'>): string | undefined {
  return endpoint ?? (isLoopback(queueUrl) ? new URL(queueUrl).origin : undefined)
}

/** Region of the target, if its settings say one. */
export function regionOfSqs({ region, queueUrl }: Pick<SqsSinkSettings, 'region' | 'queueUrl'>): string | undefined {
  return region ?? regionOfQueueUrl(queueUrl)
}
