/**
 * S3 sink: one object per request, with all its records.
 *
 * The key is made of topic, partition and offsets, so the same records have the same key at every attempt and replace
 * what was there. A set with gaps has a digest of its offsets in its key: what is left of a set after a part of it was
 * delivered must not take the place of the whole. S3 has an object whole or not at all.
 */

import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3'

import { type Clock, PipelineError, readTextTemplate, systemClock, type TextTemplate } from '../../core/index.ts'
import { silentLogger } from '../../telemetry/index.ts'
import { awsClientOptions, type AwsDependencies, awsErrorKind, awsOutcome, isAwsSetupKind } from '../aws/aws-client.ts'
import { refuseProblems } from '../aws/aws-settings.ts'
import { LoudLog } from '../loud-log.ts'
import type { RecordSink, SinkLimits, SinkOutcome, SinkRequest } from './record-sink.ts'
import { objectBody, type ObjectForm, objectKey } from './s3-object.ts'
import { S3_KEY_DEFAULT, s3SinkProblems, type S3SinkSettings } from './s3-settings.ts'

/** What an S3 sink is made from. */
export interface S3SinkOptions extends Omit<S3SinkSettings, 'type'>, AwsDependencies {
  readonly name: string
  /** Longest wait for the answer to one request, in milliseconds; the signal may be sooner. Default 5_000. */
  readonly timeoutMs?: number
}

const OK: SinkOutcome = { kind: 'ok' }

/** Writes batches into a bucket. */
export class S3Sink implements RecordSink {
  readonly name: string
  readonly limits: SinkLimits
  readonly #template: TextTemplate
  readonly #form: ObjectForm
  readonly #properties: Omit<PutObjectCommandInput, 'Key' | 'Body'>
  readonly #sdk = import('@aws-sdk/client-s3')
  readonly #client: Promise<S3Client>
  readonly #clock: Clock
  readonly #loud: LoudLog

  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: S3SinkOptions) {
    refuseProblems(options, s3SinkProblems)
    this.name = options.name
    this.limits = { recordsMax: options.recordsMax ?? 100_000, bytesMax: options.bytesMax ?? 67_108_864 }
    this.#template = keyTemplate(options.key ?? S3_KEY_DEFAULT)
    this.#form = { format: options.format ?? 'ndjson', gzip: options.gzip ?? false }
    this.#properties = propertiesOf(options, this.#form)
    this.#clock = options.clock ?? systemClock
    this.#loud = new LoudLog(options.logger ?? silentLogger, this.#clock)
    this.#client = this.#load(options)
    // Each delivery reports it.
    this.#client.catch(() => undefined)
  }

  async deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    const Key = objectKey(this.#template, request, this.#form)
    if (Key === undefined) {
      return this.#setupError('the key has places for times, and the event has none: include timestamps in the payload')
    }
    try {
      const [client, { PutObjectCommand }] = await Promise.all([this.#client, this.#sdk])
      const Body = await objectBody(request.texts, this.#form)
      await client.send(new PutObjectCommand({ ...this.#properties, Key, Body }), { abortSignal: signal })
      return OK
    } catch (error) {
      const outcome = awsOutcome(error, this.#clock.now())
      // S3 does not look into what it stores, so no record can be at fault.
      if (outcome.kind === 'rejected') return this.#setupError(outcome.reason)
      if (isAwsSetupKind(awsErrorKind(error))) this.#setupError(outcome.reason)
      return { ...outcome, reason: this.#say(outcome.reason) }
    }
  }

  async close(): Promise<void> {
    const client = await this.#client.catch(() => undefined)
    client?.destroy()
  }

  async #load({ region, endpoint, environment, timeoutMs, pathStyle }: S3SinkOptions): Promise<S3Client> {
    const { S3Client } = await this.#sdk
    const settings = awsClientOptions({ region, endpoint, environment, timeoutMs, service: 'S3' })
    const isPathStyle = pathStyle ?? settings.endpoint !== undefined
    return new S3Client({ ...settings, ...(isPathStyle ? { forcePathStyle: true } : {}) })
  }

  #setupError(reason: string): SinkOutcome {
    const text = this.#say(reason)
    this.#loud.error({ target: this.name }, text)
    return { kind: 'unavailable', reason: text }
  }

  #say(reason: string): string {
    return `target ${this.name}: ${reason}`
  }
}

function keyTemplate(key: string): TextTemplate {
  const template = readTextTemplate(key)
  if (typeof template !== 'string') return template
  throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `key: ${template}`)
}

function propertiesOf(options: S3SinkOptions, form: ObjectForm): Omit<PutObjectCommandInput, 'Key' | 'Body'> {
  const { bucket, contentType, storageClass, encryption, kmsKeyId } = options
  return {
    Bucket: bucket,
    ContentType: contentType ?? (form.format === 'json' ? 'application/json' : 'application/x-ndjson'),
    ...(form.gzip ? { ContentEncoding: 'gzip' } : {}),
    // Boundary: S3 says which classes there are, and gets new ones.
    ...(storageClass === undefined ? {} : { StorageClass: storageClass as PutObjectCommandInput['StorageClass'] }),
    ...(encryption === undefined ? {} : { ServerSideEncryption: encryption }),
    ...(kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId })
  }
}
