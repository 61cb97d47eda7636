/** Settings of an SNS target. Apart from the sink, which needs AWS's SDK. */

import { checkMessageSettings } from '../aws/aws-settings.ts'
import { OptionCheck } from './option-check.ts'

/** An SNS target in the configuration. */
export interface SnsSinkSettings {
  readonly type: 'sns'
  /** ARN of the topic. One that ends in `.fifo` is a FIFO topic. */
  readonly topicArn: string
  /** AWS region. Default: the one in the ARN. */
  readonly region?: string
  /** Address of SNS: an emulator, a VPC endpoint. Default: `AWS_ENDPOINT_URL_SNS`, `AWS_ENDPOINT_URL`, AWS's. */
  readonly endpoint?: string
  /** `record`: a message per record. `batch`: a message holds as many records as fit. Default `record`. */
  readonly message?: 'record' | 'batch'
  /**
   * Template of the message group. Default in a FIFO topic: `{key}` (`batch`: `{topic}-{partition}`); a record that has
   * nothing for it has the group `topic-partition`. A standard topic hands one on to fair queues; default: none.
   */
  readonly group?: string
  /** FIFO: `key` puts each group into a request at most once; `loose` fills requests with one group. Default `key`. */
  readonly order?: 'key' | 'loose'
  /**
   * FIFO: template of what a record is deduplicated by for five minutes; `batch`: what its message's id is made of.
   * Default `{id}`: topic, partition and offset. Two clusters with topics of one name need ids that differ.
   */
  readonly deduplicationId?: string
  /** Message attributes: templates by name. Default: `topic`, `partition`, `offset` and `key` (`batch`: no `key`). */
  readonly attributes?: Readonly<Record<string, string>>
  /**
   * Most bytes of a request, and of a message. Integer, 1_024 to 1_048_576. Default 262_144; more where the topic's
   * `MaximumMessageSize` says so. Source: SNS API reference, PublishBatch.
   */
  readonly bytesMax?: number
  /** Most records of a message with `message: batch`. Integer, 1 to 10_000. Default 500. */
  readonly messageRecordsMax?: number
  /** Most requests at once. Integer, 1 to 50. Default 8. */
  readonly concurrency?: number
}

/** Most that a topic can be set to take. */
const BYTES_MOST = 1_048_576

/** Every problem of an SNS target's settings. */
export function snsSinkProblems(given: unknown): string[] {
  const check = new OptionCheck(given)
  const address = check.text('topicArn', {
    isRequired: true,
    pattern: /^arn:aws[\w-]*:sns:[a-z\d-]+:\d{12}:[\w-]{1,251}(?:[\w-]{0,5}|\.fifo)$/,
    hint: 'the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:orders'
  })
  checkMessageSettings(check, { address, bytesMost: BYTES_MOST })
  return check.finish()
}
