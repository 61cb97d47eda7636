/** Settings of a Kinesis target. Apart from the sink, which needs AWS's SDK. */

import { checkTemplate } from '../aws/aws-settings.ts'
import { OptionCheck } from './option-check.ts'

/** A Kinesis target in the configuration. */
export interface KinesisSinkSettings {
  readonly type: 'kinesis'
  /** Name or ARN of the stream. */
  readonly stream: string
  /** AWS region. Default: the one in the ARN, else AWS's own chain. */
  readonly region?: string
  /** Address of Kinesis: an emulator, a VPC endpoint. Default: `AWS_ENDPOINT_URL_KINESIS`, …, AWS's. */
  readonly endpoint?: string
  /** Template of the partition key. Default `{key}`. A record that has nothing for it is spread by its id. */
  readonly partitionKey?: string
  /**
   * `key` puts each partition key into a request at most once, because Kinesis may take a record and refuse an earlier
   * one: order holds whatever fails. `loose` fills requests, and lets a record that Kinesis refused come after later
   * ones. Default `key`.
   */
  readonly order?: 'key' | 'loose'
  /** Most records of a request. Integer, 1 to 500. Default 500. */
  readonly requestRecordsMax?: number
  /**
   * Most bytes of a request, partition keys included. Integer, 1_024 to 10_485_760. Default 5_242_880 (10 MiB since
   * October 2025). Source: Kinesis API reference, PutRecords.
   */
  readonly bytesMax?: number
  /**
   * Most bytes of a record with its partition key. Integer, 1_024 to 10_485_760. Default 1_048_576, as a stream has it;
   * more where its `MaxRecordSizeInKiB` says so. Source: Kinesis API reference, CreateStream.
   */
  readonly recordBytesMax?: number
  /** Most requests at once. Integer, 1 to 50. Default 8. */
  readonly concurrency?: number
}

const BYTES_MOST = 10_485_760

/** Defaults of `bytesMax` and `recordBytesMax`. */
export const KINESIS_BYTES = { request: 5_242_880, record: 1_048_576 } as const

/** Every problem of a Kinesis target's settings. */
export function kinesisSinkProblems(given: unknown): string[] {
  const check = new OptionCheck(given)
  check.text('stream', {
    isRequired: true,
    pattern: /^(?:arn:aws[\w-]*:kinesis:[a-z\d-]+:\d{12}:stream\/)?[a-zA-Z0-9_.-]{1,128}$/,
    hint: 'the name or ARN of a stream'
  })
  check.awsPlace()
  checkTemplate(check, 'partitionKey')
  check.oneOf('order', ['key', 'loose'])
  check.integer('requestRecordsMax', 1, 500)
  const bytes = check.integer('bytesMax', 1024, BYTES_MOST) ?? KINESIS_BYTES.request
  const recordBytes = check.integer('recordBytesMax', 1024, BYTES_MOST)
  if (recordBytes !== undefined && recordBytes > bytes) {
    check.report('recordBytesMax', `is more than bytesMax (${bytes}), so such a record would fit into no request`)
  }
  check.integer('concurrency', 1, 50)
  return check.finish()
}
