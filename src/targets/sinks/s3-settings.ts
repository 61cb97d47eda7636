/** Settings of an S3 target, and what can be wrong with them. Apart from the sink, which needs AWS's SDK. */

import { readTextTemplate } from '../../core/index.ts'
import { OptionCheck } from './option-check.ts'

/** A bucket in the configuration. */
export interface S3SinkSettings {
  readonly type: 's3'
  /** Name of the bucket, or the ARN of an access point. */
  readonly bucket: string
  /**
   * Template of the keys, with the places `{topic}`, `{partition}` and `{offsets}`, which it must have, and `{yyyy}`
   * `{MM}` `{dd}` `{HH}` `{mm}` (of the first record's time, UTC), `{timestamp}` (the same in epoch milliseconds),
   * `{first}`, `{last}` and `{extension}`. Default `{topic}/{yyyy}/{MM}/{dd}/{partition}/{offsets}.{extension}`.
   */
  readonly key?: string
  /** `ndjson`: a line for each record; `json`: one array. Default `ndjson`. */
  readonly format?: 'ndjson' | 'json'
  /** Whether objects are compressed. Default `false`. */
  readonly gzip?: boolean
  /** Default `application/x-ndjson` or `application/json`. */
  readonly contentType?: string
  /** Storage class, such as `STANDARD_IA`. Default: the bucket's. */
  readonly storageClass?: string
  /** Encryption with AWS's key (`AES256`) or one of KMS (`aws:kms`, `aws:kms:dsse`). Default: the bucket's. */
  readonly encryption?: 'AES256' | 'aws:kms' | 'aws:kms:dsse'
  /** Id or ARN of the KMS key. Default: AWS's own for S3. */
  readonly kmsKeyId?: string
  /** Whether the bucket is addressed in the path. Default: with an endpoint. */
  readonly pathStyle?: boolean
  /** AWS region. Default: AWS's own chain. */
  readonly region?: string
  /** Address of S3: an emulator, a VPC endpoint. Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, AWS's. */
  readonly endpoint?: string
  /** Most records in an object. Integer, 1 to 1_000_000. Default 100_000. */
  readonly recordsMax?: number
  /** Most bytes of records in an object, before compression. Integer, 1_024 to 268_435_456. Default 67_108_864. */
  readonly bytesMax?: number
}

/** Places that a key may have. */
export const S3_PLACES = {
  batch: ['topic', 'partition', 'offsets', 'first', 'last', 'extension'],
  time: ['yyyy', 'MM', 'dd', 'HH', 'mm', 'timestamp']
} as const

const REQUIRED = ['topic', 'partition', 'offsets']

/** Where objects go unless the settings say otherwise. */
export const S3_KEY_DEFAULT = '{topic}/{yyyy}/{MM}/{dd}/{partition}/{offsets}.{extension}'

/** Every problem of an S3 target's settings. */
export function s3SinkProblems(given: unknown): string[] {
  const check = new OptionCheck(given)
  check.text('bucket', {
    isRequired: true,
    pattern: /^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|arn:aws[\w-]*:s3[\w-]*:[a-z\d-]*:\d{12}:accesspoint[/:]\S+)$/,
    hint: 'the name of a bucket, or the ARN of an access point'
  })
  const key = check.text('key')
  const problem = key === undefined ? undefined : keyProblem(key)
  if (problem !== undefined) check.report('key', problem)
  check.oneOf('format', ['ndjson', 'json'])
  check.flag('gzip')
  check.text('contentType', { pattern: /^[\w.+-]+\/[\w.+-]+(?:; ?[\x20-\x7e]+)?$/, hint: 'a media type' })
  check.text('storageClass', { pattern: /^[A-Z_]+$/, hint: 'a storage class such as STANDARD_IA' })
  const encryption = check.oneOf('encryption', ['AES256', 'aws:kms', 'aws:kms:dsse'])
  const kmsKeyId = check.text('kmsKeyId')
  if (kmsKeyId !== undefined && (encryption === undefined || encryption === 'AES256')) {
    check.report('kmsKeyId', 'belongs to encryption: aws:kms; give it, or leave this out')
  }
  check.flag('pathStyle')
  check.awsPlace()
  check.integer('recordsMax', 1, 1_000_000)
  check.integer('bytesMax', 1024, 268_435_456)
  return check.finish()
}

function keyProblem(key: string): string | undefined {
  const template = readTextTemplate(key)
  if (typeof template === 'string') return template
  const known: readonly string[] = [...S3_PLACES.batch, ...S3_PLACES.time]
  const unknown = template.fields.find(field => !known.includes(field))
  if (unknown !== undefined) {
    return `has a place {${unknown}} that is none of ${known.map(each => `{${each}}`).join(' ')}`
  }
  const missing = REQUIRED.find(field => !template.fields.includes(field))
  if (missing !== undefined) return `has no {${missing}}: batches would overwrite each other`
  for (const [index, field] of template.fields.entries()) {
    const before = template.fields[index - 1]
    const isNeeded = [before, field].some(each => each !== undefined && REQUIRED.includes(each))
    // Else partition 2 of the topic t1 and partition 12 of t would have the same keys.
    if (before === undefined || !isNeeded || /\D/.test(template.literals[index] ?? '')) continue
    return `has {${before}} and {${field}} without a sign between them: batches would overwrite each other`
  }
  if (key.startsWith('/')) return 'begins with a slash, which would be a folder without a name'
  // A topic has 249 characters at most, offsets 50, partition 10: 1,024 bytes are the most that S3 takes.
  if (Buffer.byteLength(key) > 600) return 'is longer than 600 bytes'
  return undefined
}
