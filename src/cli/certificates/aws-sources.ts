/**
 * Objects in Amazon S3 and secrets of AWS Secrets Manager.
 *
 * The SDK is loaded when the first of them is read. An object that is read
 * again is asked for with the ETag of what is known, so that one that has not
 * changed costs a request without a body; a secret is known by its VersionId.
 * Credentials come from AWS's default chain.
 */

import type { SourceOfCredentials } from '../../config/index.ts'
import { briefMessageOf, type PipelineError } from '../../core/index.ts'
import { unreachable, unusable } from './problem.ts'

const attemptsMax = 3
const connectionTimeoutMs = 5_000
const requestTimeoutMs = 10_000

/** What was read. */
export interface AwsMaterial {
  readonly bytes: Buffer
  /** ETag or VersionId. */
  readonly version: string
}

/** Reads objects and secrets; remembers objects by their ETag. */
export class AwsSources {
  readonly #objects = new Map<string, AwsMaterial>()

  /**
   * Reads an object of S3.
   *
   * @throws PipelineError `ERR_CONFIG_CREDENTIALS`, `ERR_CLI_CREDENTIALS_UNREACHABLE`.
   */
  async object(source: SourceOfCredentials, path: readonly string[]): Promise<AwsMaterial> {
    const address = source.s3 ?? ''
    const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/(.+)$/.exec(address) ?? []
    const cacheKey = JSON.stringify(source)
    const known = this.#objects.get(cacheKey)
    const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3')
    const client = new S3Client({
      ...settings(source),
      ...(source.endpoint === undefined ? {} : { forcePathStyle: true })
    })
    try {
      const answer = await client.send(
        new GetObjectCommand({
          Bucket: bucket,
          Key: key,
          ...(source.versionId === undefined ? {} : { VersionId: source.versionId }),
          ...(known === undefined ? {} : { IfNoneMatch: known.version })
        })
      )
      const bytes = Buffer.from((await answer.Body?.transformToByteArray()) ?? [])
      const material = { bytes, version: answer.ETag ?? '' }
      if (answer.ETag !== undefined) this.#objects.set(cacheKey, material)
      return material
    } catch (error) {
      if (known !== undefined && statusOf(error) === 304) return known
      throw asProblem(error, address, path)
    } finally {
      client.destroy()
    }
  }

  /**
   * Reads a secret, whole.
   *
   * @throws PipelineError `ERR_CONFIG_CREDENTIALS`, `ERR_CLI_CREDENTIALS_UNREACHABLE`.
   */
  async secret(source: SourceOfCredentials, path: readonly string[]): Promise<AwsMaterial> {
    const id = source.secret ?? ''
    const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager')
    const client = new SecretsManagerClient(settings(source))
    try {
      const answer = await client.send(
        new GetSecretValueCommand({
          SecretId: id,
          ...(source.versionStage === undefined ? {} : { VersionStage: source.versionStage })
        })
      )
      const bytes = Buffer.from(answer.SecretBinary ?? answer.SecretString ?? '')
      return { bytes, version: answer.VersionId ?? '' }
    } catch (error) {
      throw asProblem(error, `the secret ${id}`, path)
    } finally {
      client.destroy()
    }
  }
}

function settings(source: SourceOfCredentials): {
  region?: string
  endpoint?: string
  maxAttempts: number
  requestHandler: { connectionTimeout: number; requestTimeout: number }
} {
  const region = source.region ?? regionOfArn(source.secret)
  return {
    ...(region === undefined ? {} : { region }),
    ...(source.endpoint === undefined ? {} : { endpoint: source.endpoint }),
    maxAttempts: attemptsMax,
    requestHandler: { connectionTimeout: connectionTimeoutMs, requestTimeout: requestTimeoutMs }
  }
}

function regionOfArn(arn: string | undefined): string | undefined {
  return /^arn:[^:]+:secretsmanager:([^:]+):/.exec(arn ?? '')?.[1]
}

const missingNames: ReadonlySet<string> = new Set([
  'NoSuchKey',
  'NoSuchBucket',
  'NoSuchVersion',
  'NotFound',
  'ResourceNotFoundException'
])
const unusableNames: ReadonlySet<string> = new Set([
  'InvalidRequestException',
  'InvalidParameterException',
  'InvalidArgument',
  'DecryptionFailure',
  'PermanentRedirect'
])

/** AWS's messages name resources, users and actions; they have no contents. */
function asProblem(error: unknown, what: string, path: readonly string[]): PipelineError {
  const name = error instanceof Error ? error.name : ''
  const text = briefMessageOf(error)
  const status = statusOf(error)
  const refuse = (reason: string): PipelineError => unusable([{ path, reason }], error)
  if (missingNames.has(name)) return refuse(`${what} is not there (${name}): correct the name or the region`)
  if (name === 'CredentialsProviderError') {
    return refuse(`${what} cannot be read without credentials of AWS: ${text}`)
  }
  if (/region is missing/i.test(text)) {
    return refuse(`${what} has no region: add region, or set AWS_REGION`)
  }
  if (status === 401 || status === 403) return refuse(`${what} may not be read (${name}): ${text}`)
  if (unusableNames.has(name)) return refuse(`${what} cannot be read (${name}): ${text}`)
  return unreachable(path, `${what} cannot be reached: ${text === '' ? name : text}`, error)
}

function statusOf(error: unknown): number | undefined {
  const metadata: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, '$metadata') : undefined
  const status: unknown =
    typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'httpStatusCode') : undefined
  return typeof status === 'number' ? status : undefined
}
