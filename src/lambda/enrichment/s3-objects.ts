/**
 * Reading JSON objects of an S3 bucket: whole, within a limit, only if they have changed.
 *
 * Without the right `s3:ListBucket` S3 answers 403 and not 404 for an object that does not exist, which cannot be told
 * from a missing right to read: the policy of the package command asks for both.
 */

import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'

import { awsClientOptions, awsErrorName, isLoopback } from '../../targets/sinks/index.ts'
import { awsFailure, type SourceFailure } from './aws-failure.ts'
import type { SourceSurroundings } from './source.ts'
import type { S3SourceSettings } from './source-settings.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

/** What became of a read. */
export type S3Read =
  | { readonly kind: 'read'; readonly text: string; readonly etag: string | undefined }
  | { readonly kind: 'absent' | 'unchanged' }
  | SourceFailure

/** Reads objects of one bucket. */
export class S3Objects {
  readonly name: string
  readonly #settings: S3SourceSettings
  readonly #client: Promise<{ readonly sdk: Sdk; readonly client: S3Client }>

  constructor(settings: S3SourceSettings, surroundings: SourceSurroundings, timeoutMs: number) {
    this.name = `bucket ${settings.bucket}`
    this.#settings = settings
    this.#client = this.#load(surroundings, timeoutMs)
    // Whoever reads hears of it.
    this.#client.catch(() => undefined)
  }

  /** Reads an object of at most `bytesMax` bytes, unless it still has this ETag. Never rejects. */
  async read(
    key: string,
    options: { bytesMax: number; etag?: string | undefined; signal: AbortSignal }
  ): Promise<S3Read> {
    const { bytesMax, etag, signal } = options
    try {
      const { sdk, client } = await this.#client
      const condition = etag === undefined ? {} : { IfNoneMatch: etag }
      const command = new sdk.GetObjectCommand({ Bucket: this.#settings.bucket, Key: key, ...condition })
      const output = await client.send(command, { abortSignal: signal })
      const bytes = await bodyOf(output, bytesMax, signal)
      if (bytes === undefined)
        return { kind: 'rejected', reason: `${this.name} has an object of more than ${bytesMax} bytes` }
      return { kind: 'read', text: bytes.toString('utf8'), etag: output.ETag }
    } catch (error) {
      return this.#failure(error)
    }
  }

  async close(): Promise<void> {
    const loaded = await this.#client.catch(() => undefined)
    loaded?.client.destroy()
  }

  async #load(surroundings: SourceSurroundings, timeoutMs: number): Promise<{ sdk: Sdk; client: S3Client }> {
    const sdk = await import('@aws-sdk/client-s3')
    const { region, endpoint } = this.#settings
    const { environment } = surroundings
    const options = awsClientOptions({ region, endpoint, timeoutMs, service: 'S3', environment })
    const at = endpoint ?? environment['AWS_ENDPOINT_URL_S3'] ?? environment['AWS_ENDPOINT_URL']
    // An emulator has no host name for each bucket.
    const isLocal = at !== undefined && isLoopback(at)
    return { sdk, client: new sdk.S3Client({ ...options, ...(isLocal ? { forcePathStyle: true } : {}) }) }
  }

  #failure(error: unknown): S3Read {
    if (statusOf(error) === 304) return { kind: 'unchanged' }
    if (awsErrorName(error) === 'NoSuchKey') return { kind: 'absent' }
    return awsFailure(this.name, error)
  }
}

/** The SDK takes every status but 2xx for an error; that of 304 has no name to rely on. */
function statusOf(error: unknown): unknown {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined
  const metadata: unknown = error.$metadata
  return typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
    ? metadata.httpStatusCode
    : undefined
}

async function bodyOf(
  { Body: body, ContentLength: length = 0 }: GetObjectCommandOutput,
  bytesMax: number,
  signal: AbortSignal
): Promise<Buffer | undefined> {
  if (body === undefined) return Buffer.alloc(0)
  // In Node.js it is a stream, whatever else the SDK's type allows for browsers.
  const stream = body as AsyncIterable<Uint8Array> & { destroy(error?: Error): void }
  const onAbort = (): void => stream.destroy(new Error('the object did not come in time'))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal.aborted) onAbort()
    if (length > bytesMax) {
      stream.destroy()
      return undefined
    }
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of stream) {
      bytes += chunk.length
      if (bytes > bytesMax) {
        stream.destroy()
        return undefined
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
