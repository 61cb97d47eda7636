/** `comporta lambda invoke`, `status` and `fault`: what people do with a runtime that runs. */

import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'

import { type Command, InvalidArgumentError, Option } from 'commander'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { FaultsInput, FaultsStatus, FunctionStatus } from '../../lambda/index.ts'
import { type CommonOptions, loadPipeline, needSection } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { sampleEvent } from '../sample-event.ts'
import type { CommandAction } from './action.ts'

interface ControlOptions extends CommonOptions {
  readonly endpoint?: string
  /** Of `comporta lambda`: where the runtime was told to listen. */
  readonly port?: number
}

interface InvokeOptions extends ControlOptions {
  readonly payload?: string
  readonly event?: string
  readonly records: number
  readonly qualifier?: string
  readonly type: string
  readonly log?: boolean
}

interface FaultOptions extends ControlOptions {
  readonly latency?: FaultsInput
  readonly failures?: number
  readonly timeouts?: number
  readonly throttles?: number
  readonly crashes?: number
  readonly initLatency?: number
  readonly for?: number
  readonly clear?: boolean
}

const endpointOption = [
  '--endpoint <url>',
  'address of the runtime (default: lambda.host, and --port or lambda.port)',
  parseEndpoint
] as const

const INVOCATION_TYPES = ['RequestResponse', 'Event', 'DryRun'] as const

/** Adds the three commands below `lambda`. */
export function addLambdaControl(lambda: Command, action: CommandAction): void {
  addInvoke(lambda, action)
  addFault(lambda, action)
  lambda
    .command('status')
    .summary('what the functions of a running runtime have done, and do')
    .option(...endpointOption)
    .addHelpText(
      'after',
      '\nExamples:\n  comporta lambda status\n  comporta lambda status --endpoint http://127.0.0.1:9001 --json'
    )
    .action(action(status))
}

function addInvoke(lambda: Command, action: CommandAction): void {
  lambda
    .command('invoke')
    .argument('<function>', 'name of the function')
    .summary('invoke a function of a running runtime')
    .description('Prints what the function answers. The payload is JSON, @ and the name of a file, or - for the input.')
    .option('--payload <json>', 'the event (default: {})')
    .addOption(
      new Option(
        '--event <kind>',
        'a sample as event: comporta (the dispatcher’s payload) or kafka (AWS’s own)'
      ).conflicts('payload')
    )
    .option('--records <number>', 'records of the sample', parseCount, 3)
    .option('--qualifier <name>', 'a version or an alias')
    .addOption(new Option('--type <type>', 'how to invoke').choices(INVOCATION_TYPES).default('RequestResponse'))
    .option('--log', 'the end of the function’s log, on standard error')
    .option(...endpointOption)
    .addHelpText(
      'after',
      '\nExit codes: 0 answered, 1 the function failed, 69 the runtime cannot be reached, or refuses.\n\nExamples:\n' +
        '  comporta lambda invoke distributor --event comporta --records 10 --log\n' +
        '  comporta lambda invoke orders --payload @event.json --qualifier live'
    )
    .action(action(invoke))
}

function addFault(lambda: Command, action: CommandAction): void {
  lambda
    .command('fault')
    .argument('<function>', 'name of the function')
    .summary('rehearse trouble: slow a function down, or make it fail')
    .description('Without options it shows what is injected. Options that are left out stay as they are.')
    .option(
      '--latency <ms>',
      'waiting time before the handler; 120/950: half below 120 ms, one in 100 above 950 ms',
      parseLatency
    )
    .option('--failures <ratio>', 'share of invocations that fail, 0 to 1', parseRatio)
    .option('--timeouts <ratio>', 'share that runs into its timeout, 0 to 1', parseRatio)
    .option('--throttles <ratio>', 'share that is refused with 429, 0 to 1', parseRatio)
    .option('--crashes <ratio>', 'share whose environment ends, 0 to 1', parseRatio)
    .option('--init-latency <ms>', 'waiting time before a new environment loads the handler', parseCount)
    .option('--for <duration>', 'how long, for example 30s, 5m or 1h (default: until --clear)', parseDuration)
    .option('--clear', 'end all faults of the function')
    .option(...endpointOption)
    .addHelpText(
      'after',
      '\nExamples:\n  comporta lambda fault distributor --latency 830 --failures 0.1 --for 5m\n' +
        '  comporta lambda fault distributor --latency 120/950\n  comporta lambda fault distributor --clear'
    )
    .action(action(fault))
}

async function endpointOf(options: ControlOptions): Promise<string> {
  if (options.endpoint !== undefined) return options.endpoint
  const section = needSection(await loadPipeline(options), 'lambda', options)
  const { host, port } = { ...section, port: options.port ?? section.port }
  if (port !== 0) return `http://${host}:${port}`
  throw new PipelineError('ERR_CLI_USAGE', 'lambda.port is 0, any free one: name the address with --endpoint')
}

async function ask(options: ControlOptions, path: string, init: RequestInit = {}): Promise<Response> {
  const endpoint = await endpointOf(options)
  try {
    return await fetch(endpoint + path, init)
  } catch (error) {
    const reason = messageOf(error instanceof Error ? (error.cause ?? error) : error)
    const message = `no runtime answers at ${endpoint}: ${reason}; start one with: comporta lambda`
    throw new PipelineError('ERR_CLI_LAMBDA_UNREACHABLE', message, { cause: error })
  }
}

/** An answer that is not what was asked for, in the words of the runtime. */
async function refusal(reply: Response): Promise<PipelineError> {
  const text = await reply.text()
  let message = text
  try {
    const body = JSON.parse(text) as { readonly message?: string; readonly Reason?: string }
    message = [body.message, body.Reason].filter(Boolean).join(' ')
  } catch {
    // Not the runtime's: the text itself is all there is.
  }
  return new PipelineError('ERR_CLI_LAMBDA_REFUSED', `the runtime refuses (${reply.status}): ${message}`)
}

async function invoke(options: InvokeOptions, name = ''): Promise<number> {
  const body =
    options.event === undefined ? await payloadOf(options.payload) : sampleEvent(options.event, options.records)
  const query = options.qualifier === undefined ? '' : `?Qualifier=${encodeURIComponent(options.qualifier)}`
  const headers = {
    'x-amz-invocation-type': options.type,
    ...(options.log === true ? { 'x-amz-log-type': 'Tail' } : {})
  }
  const path = `/2015-03-31/functions/${encodeURIComponent(name)}/invocations${query}`
  const reply = await ask(options, path, { method: 'POST', body, headers })
  if (!reply.ok) throw await refusal(reply)
  const text = await reply.text()
  const log = Buffer.from(reply.headers.get('x-amz-log-result') ?? '', 'base64').toString('utf8')
  if (log !== '') process.stderr.write(log)
  process.stdout.write(`${text === '' ? String(reply.status) : text}\n`)
  return reply.headers.has('x-amz-function-error') ? EXIT.failed : EXIT.ok
}

async function payloadOf(payload = '{}'): Promise<string> {
  try {
    const text = await payloadText(payload)
    JSON.parse(text)
    return text
  } catch (error) {
    throw new PipelineError('ERR_CLI_INPUT', `--payload: ${messageOf(error)}`)
  }
}

async function payloadText(payload: string): Promise<string> {
  if (payload === '-') return await textOf(process.stdin)
  return payload.startsWith('@') ? await readFile(payload.slice(1), 'utf8') : payload
}

async function status(options: ControlOptions): Promise<number> {
  const reply = await ask(options, '/comporta/status')
  if (!reply.ok) throw await refusal(reply)
  // Boundary: the runtime is of this same package.
  const { functions } = (await reply.json()) as { readonly functions: readonly FunctionStatus[] }
  const rows = functions.map(each => [
    each.name,
    ...[each.busyCount, each.concurrency, each.idleCount, each.eventsWaiting, each.invocations].map(String),
    ...[each.errors, each.timeouts, each.throttles, each.coldStarts].map(String),
    faultText(each.faults)
  ])
  const head = ['FUNCTION', 'BUSY', 'LIMIT', 'IDLE', 'EVENTS', 'INVOCATIONS', 'ERRORS', 'TIMEOUTS', 'THROTTLES', 'COLD']
  process.stdout.write(
    options.json === true ? `${JSON.stringify({ functions })}\n` : table([[...head, 'FAULTS'], ...rows])
  )
  return EXIT.ok
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
  return rows
    .map(
      row =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`
    )
    .join('')
}

async function fault(options: FaultOptions, name = ''): Promise<number> {
  const path = `/comporta/functions/${encodeURIComponent(name)}/faults`
  const faults = faultsOf(options)
  const isChange = Object.keys(faults).length > 0
  const change = isChange ? { method: 'PUT', body: JSON.stringify(faults) } : {}
  const reply = await ask(options, path, options.clear === true ? { method: 'DELETE' } : change)
  if (!reply.ok) throw await refusal(reply)
  // Boundary: the runtime is of this same package.
  const now = (await reply.json()) as FaultsStatus
  process.stdout.write(`${options.json === true ? JSON.stringify(now) : `${name}: ${faultText(now)}`}\n`)
  return EXIT.ok
}

function faultsOf(options: FaultOptions): FaultsInput {
  const { latency, failures, timeouts, throttles, crashes, initLatency, for: forMs } = options
  const shares = { failureRatio: failures, timeoutRatio: timeouts, throttleRatio: throttles, crashRatio: crashes }
  const given = { ...latency, ...shares, initLatencyMs: initLatency, forMs }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function parseLatency(text: string): FaultsInput {
  const [, first, second] = /^(\d+)(?:\/(\d+))?$/.exec(text) ?? []
  if (first === undefined) throw new InvalidArgumentError('It is milliseconds: 830, or 120/950.')
  if (second === undefined) return { extraLatencyMs: Number(first), latency: null }
  return { extraLatencyMs: 0, latency: { p50Ms: Number(first), p99Ms: Number(second) } }
}

function parseEndpoint(text: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text.replace(/\/$/, '')
  throw new InvalidArgumentError('It is an address with http:// or https://.')
}

function faultText({ untilMs, latency, ...faults }: FaultsStatus): string {
  const parts = Object.entries(faults).flatMap(([name, value]) => (value === 0 ? [] : [`${name} ${value}`]))
  if (latency !== null) parts.push(`latency p50 ${latency.p50Ms} ms, p99 ${latency.p99Ms} ms`)
  if (parts.length === 0) return 'no faults'
  const until = untilMs === undefined ? '' : ` until ${new Date(untilMs).toISOString()}`
  return parts.join(', ') + until
}

function parseRatio(text: string): number {
  const ratio = Number(text)
  if (text !== '' && ratio >= 0 && ratio <= 1) return ratio
  throw new InvalidArgumentError('A share is a number from 0 to 1.')
}

function parseCount(text: string): number {
  const count = Number(text)
  if (text !== '' && Number.isInteger(count) && count >= 0) return count
  throw new InvalidArgumentError('It is a whole number from 0.')
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

function parseDuration(text: string): number {
  const [, count, unit = ''] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? []
  const factor = UNITS[unit]
  if (count !== undefined && factor !== undefined) return Number(count) * factor
  throw new InvalidArgumentError('A duration is a whole number and ms, s, m or h: 30s, 5m.')
}
