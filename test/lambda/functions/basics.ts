/** Functions that the runtime's tests call, in TypeScript, by their export. */

interface Context {
  readonly awsRequestId: string
  readonly functionName: string
  readonly memoryLimitInMB: string
  readonly invokedFunctionArn: string
  readonly logGroupName: string
  readonly clientContext: unknown
  getRemainingTimeInMillis(): number
}

type Callback = (error?: unknown, result?: unknown) => void

export async function handler(event: unknown): Promise<unknown> {
  return { event }
}

export function sync(event: { readonly value: number }): number {
  return event.value * 2
}

export function callback(event: { readonly error?: string }, _context: Context, done: Callback): void {
  setImmediate(() => (event.error === undefined ? done(null, 'by callback') : done(new TypeError(event.error))))
}

export async function nothing(): Promise<void> {}

export async function fails(event: { readonly message: string }): Promise<never> {
  class CustomError extends Error {
    override name = 'CustomError'
  }
  throw new CustomError(event.message)
}

export async function throwsText(): Promise<never> {
  throw 'just text'
}

export async function context(_event: unknown, given: Context): Promise<unknown> {
  const { awsRequestId, functionName, memoryLimitInMB, invokedFunctionArn, logGroupName, clientContext } = given
  const remainingMs = given.getRemainingTimeInMillis()
  return { awsRequestId, functionName, memoryLimitInMB, invokedFunctionArn, logGroupName, clientContext, remainingMs }
}

export async function environment(): Promise<unknown> {
  return { ...process.env }
}

let count = 0

/** How many invocations this environment has seen. */
export async function counts(): Promise<number> {
  count += 1
  return count
}

export async function prints(event: { readonly lines: number }): Promise<void> {
  for (let line = 1; line <= event.lines; line += 1) console.log(`line ${line}`)
  console.error('on standard error')
}

export async function large(event: { readonly bytes: number }): Promise<string> {
  return 'x'.repeat(event.bytes)
}

export async function circular(): Promise<unknown> {
  const self: { self?: unknown } = {}
  self.self = self
  return self
}

export const notAFunction = 42

/** Never answers. */
export function hangs(): Promise<never> {
  console.log('before the hang')
  return new Promise(() => setInterval(() => undefined, 1_000))
}

/** Holds its thread and never yields. */
export function spins(): never {
  console.log('before the hang')
  for (;;) count += 1
}

export async function exits(event: { readonly code: number }): Promise<void> {
  console.log('before the exit')
  process.exit(event.code)
}

export async function exhaustsMemory(): Promise<void> {
  const held: unknown[] = []
  for (;;) held.push({ held: Array.from({ length: 100 }, Math.random) })
}

/** Writes what it should not to the port that it shares with the runtime. */
export async function meddles(): Promise<string> {
  const { parentPort } = await import('node:worker_threads')
  const messages = [null, 7, 'text', {}, { kind: 'log' }, { kind: 'log', text: 5 }, { kind: 'result', requestId: 'x' }]
  for (const message of [...messages, { kind: 'functionError' }, { kind: 'ready' }]) parentPort?.postMessage(message)
  return 'done'
}

/** Takes the runtime's error handling away and throws what is no error. */
export function throwsNothing(): Promise<never> {
  process.removeAllListeners('uncaughtException')
  setImmediate(() => {
    throw null
  })
  return new Promise(() => undefined)
}

/** Fails outside its own promise. */
export function rejectsAside(): Promise<never> {
  void Promise.reject(new Error('nobody waits for this'))
  return new Promise(() => undefined)
}

export function throwsAside(): Promise<never> {
  setTimeout(() => {
    throw new RangeError('thrown in a timer')
  }, 1)
  return new Promise(() => undefined)
}

/** Answers only when the file it is given exists: lets a test hold an invocation. */
export async function waitsForFile(event: { readonly path: string }): Promise<string> {
  const { existsSync } = await import('node:fs')
  while (!existsSync(event.path)) await new Promise(resolve => setTimeout(resolve, 5))
  return 'released'
}

/** Writes at every level of the console, and an error with another inside. */
export async function logs(): Promise<void> {
  console.trace('trace')
  console.debug('debug')
  console.info('%s of %d', 'info', 2)
  console.warn('two\nlines')
  console.error('went wrong:', new TypeError('inner'))
  process.stdout.write('as it is\n')
}

export async function failsWithCause(): Promise<never> {
  const error = Object.assign(new Error('outer', { cause: new TypeError('hidden') }), { code: 'E_OUTER', truck: 7 })
  throw Object.assign(error, { nested: new RangeError('inner') })
}

export async function rejectsNothing(): Promise<never> {
  throw undefined
}

/** Fails as often as it is told, by a file that counts. */
export async function failsAtFirst(event: { readonly path: string; readonly times: number }): Promise<number> {
  const { appendFileSync, statSync } = await import('node:fs')
  appendFileSync(event.path, '.')
  const attempt = statSync(event.path).size
  if (attempt <= event.times) throw new Error(`attempt ${attempt}`)
  return attempt
}

/** Writes what it gets to a file. */
export async function records(event: unknown): Promise<void> {
  const { appendFileSync } = await import('node:fs')
  appendFileSync(process.env['RECORDS'] ?? '', `${JSON.stringify(event)}\n`)
}

/** Ends its process from outside, as the system does. */
export async function isKilled(event: { readonly signal: NodeJS.Signals }): Promise<never> {
  process.kill(process.pid, event.signal)
  return new Promise(() => setInterval(() => undefined, 1_000))
}

/** Takes memory outside V8's heap. */
export async function takesBuffers(event: { readonly mb: number }): Promise<never> {
  const held = Array.from({ length: event.mb }, () => Buffer.alloc(1_048_576, 1))
  return new Promise(() => setInterval(() => held.length, 1_000))
}

export function processId(): number {
  return process.pid
}
