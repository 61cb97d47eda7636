/**
 * Entry of a worker thread: one execution environment of one function.
 *
 * Loads the handler, says `ready`, then runs one invocation at a time as they
 * are sent. It never decides about time: the runtime ends a worker that is late
 * from outside, because a handler in an endless loop cannot be asked.
 *
 * Standard output and error are replaced by messages: they keep their place
 * before the result, and what was written survives the end of the worker.
 * At most `LOG_BYTES_MAX` of one invocation are sent.
 *
 * After an error outside the handler's promise (an exception in a timer, an
 * unhandled rejection) the environment cannot be trusted and ends with the exit
 * codes that Lambda's runtime uses.
 */

import { parentPort, workerData } from 'node:worker_threads'

import { invariant, sleep, systemClock } from '../../core/index.ts'
import { errorPayload, RuntimeFailure } from './error-payload.ts'
import { type HandlerFunction, loadHandler } from './handler-loader.ts'
import { callHandler, encodeResult, invocationContext, parseEvent } from './invocation.ts'
import type { InvokeMessage, WorkerMessage, WorkerSetup } from './messages.ts'

const LOG_BYTES_MAX = 262_144
const EXIT_UNHANDLED_REJECTION = 128
const EXIT_UNCAUGHT_EXCEPTION = 129

const port = parentPort
invariant(port !== null, 'worker-main runs in a worker thread')
// Boundary: our own runtime is the only one that starts this file.
const setup = workerData as WorkerSetup

let runningRequestId: string | undefined
let logBytesLeft = LOG_BYTES_MAX

function send(message: WorkerMessage): void {
  const isBulky = message.kind === 'result' || message.kind === 'functionError'
  // Both kinds were encoded into a buffer of their own, so it can be given away.
  port?.postMessage(message, isBulky ? [message.payload.buffer as ArrayBuffer] : [])
}

function log(text: string): void {
  if (logBytesLeft <= 0) return
  const kept = text.slice(0, logBytesLeft)
  logBytesLeft -= kept.length
  send({ kind: 'log', text: logBytesLeft > 0 ? kept : `${kept}\n[more output of this invocation was dropped]\n` })
}

function captureOutput(stream: NodeJS.WriteStream): void {
  const write = (chunk: unknown, encoding?: unknown, callback?: unknown): boolean => {
    log(typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString('utf8'))
    const done = typeof encoding === 'function' ? encoding : callback
    if (typeof done === 'function') queueMicrotask(() => void done())
    return true
  }
  // Boundary: the overloads of write() are told apart above.
  stream.write = write as typeof stream.write
}

function fail(error: unknown, requestId: string | undefined, isFatal: boolean): void {
  const described = errorPayload(error)
  if (requestId !== undefined) log(`ERROR\tInvoke Error\t${JSON.stringify(described)}\n`)
  const payload = new TextEncoder().encode(JSON.stringify(described))
  send({ kind: 'functionError', requestId, isFatal, errorType: described.errorType, payload })
}

function endAfter(error: unknown, exitCode: number): void {
  fail(error, runningRequestId, true)
  process.exit(exitCode)
}

async function invoke(handler: HandlerFunction, message: InvokeMessage): Promise<void> {
  const { requestId } = message
  runningRequestId = requestId
  logBytesLeft = LOG_BYTES_MAX
  let event: unknown
  try {
    event = parseEvent(message.payload)
  } catch (error) {
    send({ kind: 'invalidEvent', requestId, detail: error instanceof Error ? error.message : String(error) })
    return
  }
  try {
    if (message.extraLatencyMs > 0) await sleep(systemClock, message.extraLatencyMs)
    if (message.isFailureInjected) throw new RuntimeFailure('InjectedFailure', 'this failure was injected')
    const result = await callHandler(handler, event, invocationContext(setup, message, systemClock))
    send({ kind: 'result', requestId, payload: encodeResult(result) })
  } catch (error) {
    fail(error, requestId, false)
  }
  runningRequestId = undefined
}

async function loadBuiltin(): Promise<HandlerFunction> {
  const { builtinDistributor } = await import('../distributor/builtin.ts')
  const distributor = builtinDistributor(setup.environment)
  // Boundary: the runtime always passes a context that has getRemainingTimeInMillis.
  return distributor as HandlerFunction
}

async function main(): Promise<void> {
  captureOutput(process.stdout)
  captureOutput(process.stderr)
  process.on('uncaughtException', error => endAfter(error, EXIT_UNCAUGHT_EXCEPTION))
  process.on('unhandledRejection', reason => {
    const stack = reason instanceof Error ? reason.stack : undefined
    endAfter(new RuntimeFailure('UnhandledPromiseRejection', String(reason), stack), EXIT_UNHANDLED_REJECTION)
  })
  let handler: HandlerFunction
  try {
    const isBuiltin = setup.handler.startsWith('builtin:')
    handler = isBuiltin ? await loadBuiltin() : await loadHandler(setup.handler, setup.taskRoot)
  } catch (error) {
    endAfter(error, 1)
    return
  }
  port?.on('message', (message: InvokeMessage) => void invoke(handler, message))
  send({ kind: 'ready' })
}

await main()
