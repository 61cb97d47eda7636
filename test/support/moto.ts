/**
 * AWS for tests: moto's server, which answers the APIs of S3, Secrets Manager,
 * SQS and Kinesis as AWS does, state and errors included. A process of its own
 * on a free port of 127.0.0.1, that ends with the test.
 *
 * Signatures are not checked: any credentials do, and `MOTO_CREDENTIALS` are
 * those to use. The server is installed once, see `test/languages/toolchains.ts`.
 */

import type { TestContext } from 'node:test'
import { pythonSkip, pythonWithMoto } from '../languages/toolchains.ts'
import { spawnBound } from './child-process.ts'

const startTimeoutMs = 30_000

/** A running moto server. */
export interface Moto {
  /** `http://127.0.0.1:PORT`: the endpoint of all its services. */
  readonly endpoint: string
  /** Region in which the tests keep things. */
  readonly region: string
  /** Ends it at once. Its state is gone. */
  close(): Promise<void>
}

/** Credentials that moto takes for somebody's. */
export const MOTO_CREDENTIALS = { accessKeyId: 'moto', secretAccessKey: 'moto' } as const

/** The same as environment variables of AWS's default chain, for what finds its credentials itself. */
export const MOTO_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'moto',
  AWS_SECRET_ACCESS_KEY: 'moto',
  AWS_REGION: 'eu-west-1',
  AWS_EC2_METADATA_DISABLED: 'true'
} as const

/** Why moto cannot run here, or `false`. */
export const motoSkip: string | false = pythonSkip

/** Starts the server; the end of the test ends it at the latest. */
export async function startMoto(t: TestContext): Promise<Moto> {
  const python = await pythonWithMoto()
  const child = spawnBound(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'], {
    environment: { PYTHONUNBUFFERED: '1' }
  })
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  const close = async (): Promise<void> => {
    child.kill('SIGKILL')
    await closed
  }
  t.after(close)
  const started = Promise.withResolvers<string>()
  let output = ''
  const read = (text: string): void => {
    if (output.length < 65_536) output += text
    const url = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1]
    if (url !== undefined) started.resolve(url)
  }
  child.stdout?.setEncoding('utf8').on('data', read)
  child.stderr?.setEncoding('utf8').on('data', read)
  void closed.then(() => started.reject(new Error(`moto did not start:\n${output}`)))
  const timer = setTimeout(() => started.reject(new Error(`moto took too long to start:\n${output}`)), startTimeoutMs)
  try {
    return { endpoint: await started.promise, region: MOTO_ENVIRONMENT.AWS_REGION, close }
  } finally {
    clearTimeout(timer)
  }
}
