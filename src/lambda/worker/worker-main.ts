/**
 * Entry of a worker: one execution environment of one function, in a thread or
 * in a process of its own.
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

import { createRequire } from 'node:module'
import { getHeapStatistics } from 'node:v8'

import { sleep, systemClock } from '../../core/index.ts'
import { type Channel, openChannel } from './channel.ts'
import { patchConsole } from './console-patch.ts'
import { errorPayload, RuntimeFailure, UnhandledRejection } from './error-payload.ts'
import { type HandlerFunction, loadHandler } from './handler-loader.ts'
import { callHandler, encodeResult, invocationContext, parseEvent } from './invocation.ts'
import type { InvokeMessage, LogMessage, WorkerMessage } from './messages.ts'
import { reportModuleFiles } from './module-files.ts'
import { callStreamingHandler, installAwsLambdaGlobal, isStreaming, streamFor } from './response-stream.ts'

const LOG_BYTES_MAX = 262_144
const EXIT_UNHANDLED_REJECTION = 128
const EXIT_UNCAUGHT_EXCEPTION = 129
const EXIT_INJECTED_CRASH = 1

const channel: Channel = await openChannel()
const { setup } = channel
let runningRequestId: string | undefined
let logBytesLeft = LOG_BYTES_MAX
let creditStream: ((bytes: number) => void) | undefined

function send(message: WorkerMessage, onSent?: () => void): void {
  const isBulky = message.kind === 'result' || message.kind === 'functionError' || message.kind === 'chunk'
  // All three were encoded into a buffer of their own, so it can be given away.
  channel.send(message, isBulky ? [message.payload.buffer as ArrayBuffer] : [], onSent)
}

function log(text: string, how: Partial<LogMessage> = {}): void {
  if (logBytesLeft <= 0) return
  const kept = text.slice(0, logBytesLeft)
  logBytesLeft -= kept.length
  const whole = logBytesLeft > 0 ? kept : `${kept}\n[more output of this invocation was dropped]\n`
  send({ kind: 'log', ...how, text: whole })
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

const runtimeLog = patchConsole({
  console,
  environment: setup.environment,
  clock: systemClock,
  requestId: () => runningRequestId,
  write: (text, level, prefixLength) => log(text, { level, prefixLength })
})

interface Failure {
  readonly requestId: string | undefined
  readonly isFatal: boolean
  readonly onSent?: () => void
}

function fail(error: unknown, { requestId, isFatal, onSent }: Failure): void {
  const described = errorPayload(error)
  const payload = new TextEncoder().encode(JSON.stringify(described))
  const { errorType } = described
  send({ kind: 'functionError', requestId, isFatal, errorType, payload, memoryBytes: memoryBytes() }, onSent)
}

/** Logs, answers and ends. The process ends only when its last message has left. */
function endAfter(what: string, error: unknown, exitCode: number): void {
  runtimeLog.error(what, error)
  fail(error, { requestId: runningRequestId, isFatal: true, onSent: () => process.exit(exitCode) })
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
    if (message.injection === 'crash') process.exit(EXIT_INJECTED_CRASH)
    if (message.injection === 'failure') throw new RuntimeFailure('InjectedFailure', 'this failure was injected')
    const payload = await answerOf(handler, event, message)
    send({ kind: 'result', requestId, payload, memoryBytes: memoryBytes() })
  } catch (error) {
    runtimeLog.error('Invoke Error', error)
    fail(error, { requestId, isFatal: false })
  }
}

async function answerOf(handler: HandlerFunction, event: unknown, message: InvokeMessage): Promise<Uint8Array> {
  const context = invocationContext(setup, message, systemClock)
  if (!isStreaming(handler)) return encodeResult(await callHandler(handler, event, context))
  const stream = streamFor(handler, payload => send({ kind: 'chunk', requestId: message.requestId, payload }))
  creditStream = bytes => stream.credit(bytes)
  await callStreamingHandler(handler, event, { stream, context, warn: text => runtimeLog.warn(text) })
  return new Uint8Array(0)
}

/** What the environment holds: the V8 heap and the buffers outside it. */
function memoryBytes(): number {
  const { total_heap_size: heap, external_memory: external } = getHeapStatistics()
  return heap + external
}

async function loadBuiltin(): Promise<HandlerFunction> {
  const { builtinDistributor } = await import('../distributor/builtin.ts')
  const distributor = builtinDistributor(setup.environment)
  // Boundary: the runtime always passes a context that has getRemainingTimeInMillis.
  return distributor as HandlerFunction
}

/** CommonJS looks for packages in layers through NODE_PATH, which Node reads only at the start of a process. */
function applyNodePath(): void {
  if (setup.environment['NODE_PATH'] === undefined) return
  const module: unknown = createRequire(import.meta.url)('node:module')
  // Boundary: a function of every Node, without a type because it is meant for programs that start others.
  ;(module as { _initPaths?(): void })._initPaths?.()
}

async function main(): Promise<void> {
  captureOutput(process.stdout)
  captureOutput(process.stderr)
  process.on('uncaughtException', error => endAfter('Uncaught Exception', error, EXIT_UNCAUGHT_EXCEPTION))
  process.on('unhandledRejection', (reason, promise) => {
    endAfter('Unhandled Promise Rejection', new UnhandledRejection(reason, promise), EXIT_UNHANDLED_REJECTION)
  })
  let handler: HandlerFunction
  try {
    if (setup.initLatencyMs > 0) await sleep(systemClock, setup.initLatencyMs)
    const isBuiltin = setup.handler.startsWith('builtin:')
    applyNodePath()
    installAwsLambdaGlobal()
    if (setup.isWatched && !isBuiltin) reportModuleFiles(file => send({ kind: 'loaded', file }))
    handler = isBuiltin ? await loadBuiltin() : await loadHandler(setup.handler, setup.taskRoot)
  } catch (error) {
    // An error while loading is what Lambda calls an uncaught exception.
    endAfter('Uncaught Exception', error, EXIT_UNCAUGHT_EXCEPTION)
    return
  }
  channel.onMessage(message => {
    if (message.kind === 'credit') creditStream?.(message.bytes)
    else void invoke(handler, message)
  })
  send({ kind: 'ready' })
}

await main()
