/** Runtimes, SDK clients and downstream services for the tests of the room `lambda`. */

import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { InvokeCommand, type InvokeCommandInput, type InvokeCommandOutput, LambdaClient } from '@aws-sdk/client-lambda'

import {
  createDistributor,
  type Distributor,
  type DistributorContext,
  type DistributorOptions,
  type FunctionOptions,
  type LambdaRuntime,
  type LambdaRuntimeOptions,
  startLambdaRuntime
} from '../../src/lambda/index.ts'
import type { LogFields, Logger } from '../../src/telemetry/index.ts'

/** The folder of the functions that tests run. */
export const TASK_ROOT: string = path.join(import.meta.dirname, 'functions')

/** A function of `functions/basics.ts`. */
export function basic(name: string, options: Partial<FunctionOptions> = {}): FunctionOptions {
  return { handler: `basics.${name}`, timeoutMs: 30_000, ...options }
}

export async function startRuntime(t: TestContext, options: LambdaRuntimeOptions): Promise<LambdaRuntime> {
  const runtime = await startLambdaRuntime({ taskRoot: TASK_ROOT, ...options })
  t.after(() => runtime.close())
  return runtime
}

export interface Invoked {
  readonly output: InvokeCommandOutput
  /** The parsed payload. */
  readonly payload: unknown
  /** The decoded log tail. */
  readonly log: string
}

/** The AWS SDK, with nothing changed but its endpoint; one attempt, so that errors are seen. */
export class Sdk extends LambdaClient {
  constructor(endpoint: string) {
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'example' }
    super({ endpoint, region: 'us-east-1', credentials, maxAttempts: 1 })
  }

  /** One synchronous invocation. */
  async invoke(functionName: string, event: unknown, more: Partial<InvokeCommandInput> = {}): Promise<Invoked> {
    const command = new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(event), ...more })
    const output = await this.send(command)
    const text = Buffer.from(output.Payload ?? []).toString('utf8')
    const log = Buffer.from(output.LogResult ?? '', 'base64').toString('utf8')
    return { output, payload: text === '' ? undefined : JSON.parse(text), log }
  }
}

export function sdkFor(t: TestContext, runtime: LambdaRuntime): Sdk {
  const client = new Sdk(runtime.endpoint)
  t.after(() => client.destroy())
  return client
}

/** Waits for a condition of the outside world, turn by turn. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

/** Whether a process runs; one that has ended and waits to be asked how does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

export interface LogLine {
  readonly level: string
  readonly fields: LogFields
  readonly message: string
}

/** A logger that keeps its lines. */
export function memoryLogger(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const at =
    (level: string) =>
    (fields: LogFields, message: string): void =>
      void lines.push({ level, fields, message })
  const logger = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (): Logger => logger
  }
  return logger
}

/** What the distributor posts. */
export interface ServiceRequest {
  readonly source: { readonly topic: string; readonly partition: number }
  readonly messages: readonly unknown[]
  readonly offsets: readonly number[]
  readonly idempotencyKeys: readonly string[]
}

/** One request as a service saw it. */
export interface Received {
  readonly body: ServiceRequest
  readonly text: string
  readonly headers: IncomingMessage['headers']
}

export type Answer =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  /** Cut the connection without a word. */
  | 'cut'
  /** Never answer. */
  | 'hang'

export interface Service {
  readonly url: string
  readonly received: Received[]
  /** Offsets in the order of arrival. */
  offsets(): number[]
}

/** A real HTTP service that keeps what it got and answers as told. */
export async function startService(
  t: TestContext,
  respond: (received: Received) => Answer = () => ({})
): Promise<Service> {
  const received: Received[] = []
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    const seen = { body: JSON.parse(text), text, headers: request.headers }
    received.push(seen)
    const answer = respond(seen)
    if (answer === 'hang') return
    if (answer === 'cut') {
      request.socket.destroy()
      return
    }
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {}))
  }
  // A client that gives up is part of some tests.
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/records`,
    received,
    offsets: () => received.flatMap(each => each.body.offsets)
  }
}

/** A distributor in this process, with real connections; it tries a target once, unless it is told otherwise. */
export function distributorFor(t: TestContext, options: DistributorOptions): Distributor {
  const distributor = createDistributor({ retry: { attemptsMax: 1 }, ...options })
  t.after(() => distributor.close())
  return distributor
}

/** A context with this much time left, always. */
export function contextWith(remainingMs: number): DistributorContext {
  return { getRemainingTimeInMillis: () => remainingMs }
}

/** A Comporta payload of these messages, from `firstOffset` on. */
export function batchOf(messages: readonly unknown[], firstOffset = 100, more: object = {}): Record<string, unknown> {
  const offsets = messages.map((_, index) => firstOffset + index)
  return { topic: 'mt-c300', partition: 3, messages, offsets, ...more }
}
