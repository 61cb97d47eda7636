/** `comporta lag`: how far groups are behind, in records and seconds. */

import { type Command, InvalidArgumentError, Option } from 'commander'

import type { OperationsConfig } from '../../config/index.ts'
import { PipelineError, printableText, sleep, systemClock } from '../../core/index.ts'
import type { GroupLag, LagMonitor, LagReport, LagServer, LagThresholds } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import {
  type ClusterCommandOptions,
  type OpenCluster,
  withCluster,
  withClusterOptions
} from '../operations/cluster-options.ts'
import { collect } from '../operations/collect.ts'
import { kedaQuestion, type KedaMemory, kedaText, kedaViews, listenForLag } from '../operations/lag-keda.ts'
import { exceeding, limitOf, type Looks, looksOf } from '../operations/lag-limits.ts'
import { jsonLine } from '../operations/table.ts'
import { whileRunning } from '../operations/while-running.ts'
import type { CommandAction } from './action.ts'

/** Options of the command. */
export interface LagOptions extends ClusterCommandOptions {
  readonly group?: readonly string[]
  readonly topic?: readonly string[]
  readonly partitions?: boolean
  readonly watch?: string | true
  readonly for?: string
  readonly samples?: number
  readonly isolation?: string
  readonly failOver?: string
  readonly keda?: string | true
  readonly listen?: string
}

/** Most looks that can be asked for. */
const samplesMax = 1_000
/** Moves to the top left, and clears from there on what is left of the screen before. */
const clearScreen = '\u001b[H\u001b[2J'

/** Adds the command. */
export function addLag(program: Command, action: CommandAction): void {
  const command = program
    .command('lag')
    .summary('how far groups are behind, in records and seconds')
    .description(
      'The lag of consumer groups: unread records, the age of the oldest of them, rates, when it will be drained, ' +
        'and when retention deletes it. Rates need more than one look: --for, --samples or --watch.'
    )
  withClusterOptions(command)
    .option('--group <name>', 'only this group; may be given again (default: all consumer groups)', collect)
    .option('--topic <name>', 'only this topic; may be given again (default: all that the groups read)', collect)
    .option('--partitions', 'a line for each partition, too')
    .addOption(new Option('--watch [interval]', 'look again and again (default: every 5s), until Ctrl-C'))
    .option('--for <duration>', 'look several times over so long, for rates: 10s, 2m')
    .option('--samples <count>', 'how many looks (default: 5 with --for, otherwise 1)', parseSamples)
    .addOption(
      new Option('--isolation <level>', 'what the groups read: with read_committed, up to the last stable offset')
        .choices(['read_uncommitted', 'read_committed'])
        .default('read_uncommitted')
    )
    .option('--fail-over <limit>', 'exit 1 if a group is further behind: a number of records, or a duration (60s)')
    .option('--keda [options]', 'what KEDA’s kafka scaler makes of it: lagThreshold=50,topic=orders')
    .option('--listen <address>', 'serve it for KEDA, Burrow’s clients and Prometheus: 9470, or host:9470 (loopback)')
    .addHelpText(
      'after',
      `
Exit codes: 0, or 1 if --fail-over is exceeded (or cannot be told), at the last look.

Examples:
  comporta lag
  comporta lag --for 10s
  comporta lag --group billing --partitions
  comporta lag --watch 2s --brokers kafka-1:9092,kafka-2:9092
  comporta lag --group billing --fail-over 60s --json
  comporta lag --group billing --keda lagThreshold=100,offsetResetPolicy=earliest
  comporta lag --listen 9470`
    )
    .action(action(lag))
}

function parseSamples(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= samplesMax) return value
  throw new InvalidArgumentError(`A whole number from 1 to ${samplesMax}.`)
}

async function lag(options: LagOptions): Promise<number> {
  const looks = await looksOf(options)
  const limit = await limitOf(options.failOver)
  return await withCluster('lag', options, async open => {
    const { LagMonitor } = await import('../../ops/index.ts')
    const settings = open.pipeline?.operations
    const windowSize = Math.min(samplesMax, Math.max(settings?.lag.windowLooks ?? 10, looks.count ?? 0))
    const monitor = new LagMonitor({ ...monitorOptions(options, open), windowSize })
    const name = open.pipeline?.name ?? 'kafka'
    const server = options.listen === undefined ? undefined : await listenForLag(options.listen, name, looks.everyMs)
    if (server !== undefined) process.stderr.write(`listening on ${server.url}\n`)
    try {
      return await whileRunning(undefined, async ({ signal }) => {
        const last = await lookAgain({ monitor, options, looks, settings, server, kedaMemory: new Map() }, signal)
        return last !== undefined && exceeding(last, limit) ? EXIT.failed : EXIT.ok
      })
    } finally {
      await server?.close()
    }
  })
}

type MonitorOptions = ConstructorParameters<typeof LagMonitor>[0]

function monitorOptions(options: LagOptions, { cluster, pipeline }: OpenCluster): MonitorOptions {
  const settings = pipeline?.operations.lag
  return {
    cluster,
    isReadCommitted: options.isolation === 'read_committed',
    ...(options.group === undefined ? {} : { groups: [...new Set(options.group)] }),
    ...(options.topic === undefined ? {} : { topics: [...new Set(options.topic)] }),
    ...(settings === undefined
      ? {}
      : {
          minimumComplete: settings.minimumComplete,
          allowedLag: settings.allowedLag,
          appendTimesMax: settings.appendTimes,
          hangingTransactionMs: settings.hangingTransactionSeconds * 1000
        })
  }
}

interface LookRun {
  readonly monitor: LagMonitor
  readonly options: LagOptions
  readonly looks: Looks
  readonly settings: OperationsConfig | undefined
  readonly server: LagServer | undefined
  readonly kedaMemory: KedaMemory
}

/** Looks as often as was asked for, and prints: each look of a watch, the last one otherwise. */
async function lookAgain(run: LookRun, signal: AbortSignal): Promise<LagReport | undefined> {
  const { options, looks } = run
  let last: LagReport | undefined
  for (let index = 0; looks.count === undefined || index < looks.count; index += 1) {
    if (index > 0 && !(await sleep(systemClock, looks.everyMs, signal))) break
    const found = await lookOnce(run, signal)
    if (signal.aborted) break
    if (found === undefined) continue
    last = found
    run.server?.update(found)
    if (index === 0) needGroups(options, last)
    // An endpoint alone prints nothing: it is asked.
    if (options.listen !== undefined && options.watch === undefined) continue
    if (looks.count === undefined) await print(last, run)
    else if (index + 1 < looks.count) progress(`look ${index + 1} of ${looks.count}`)
  }
  if (looks.count !== undefined && last !== undefined && !signal.aborted) await print(last, run)
  return last
}

/** A watch goes on while Kafka is away, and says so. */
async function lookOnce({ monitor, looks }: LookRun, signal: AbortSignal): Promise<LagReport | undefined> {
  try {
    return await monitor.look(signal)
  } catch (error) {
    if (signal.aborted) return undefined
    if (looks.count !== undefined || !PipelineError.is(error) || !error.retriable) throw error
    process.stderr.write(`no look: ${printableText(error.message)}\n`)
    return undefined
  }
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`)
}

/** A name that is mistyped would else look like a group without lag. */
function needGroups(options: LagOptions, { groups }: LagReport): void {
  const isNothing = ({ state, partitions, problem }: GroupLag): boolean =>
    problem === undefined && partitions.length === 0 && (state === 'Dead' || state === '')
  const missing = groups.filter(isNothing).map(({ groupId }) => groupId)
  if (options.group === undefined || options.watch !== undefined || missing.length === 0) return
  throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no group ${missing.join(', ')}; comporta groups lists them`)
}

async function print(report: LagReport, run: LookRun): Promise<void> {
  const { options, looks, settings } = run
  if (options.keda !== undefined) {
    const views = await kedaViews(report, await kedaQuestion(options.keda), run.kedaMemory)
    process.stdout.write(options.json === true ? jsonLine(views) : kedaText(views))
    return
  }
  const { healthOf } = await import('../../ops/index.ts')
  const thresholds = await thresholdsOf(settings)
  if (options.json === true) {
    const groups = report.groups.map(group => ({ ...group, health: healthOf(group, thresholds) }))
    process.stdout.write(jsonLine({ ...report, groups }))
    return
  }
  const { lagText } = await import('../operations/lag-text.ts')
  const text = lagText(report, { thresholds, withPartitions: options.partitions === true })
  if (looks.count !== undefined) process.stdout.write(text)
  else {
    const head = `${new Date(report.takenAtMs).toISOString()}\n`
    process.stdout.write(process.stdout.isTTY ? `${clearScreen}${head}${text}` : `${head}${text}\n`)
  }
}

async function thresholdsOf(settings: OperationsConfig | undefined): Promise<LagThresholds> {
  const { LAG_THRESHOLDS } = await import('../../ops/index.ts')
  if (settings === undefined) return LAG_THRESHOLDS
  return {
    goodLagRecords: settings.lag.goodLagRecords,
    goodRecordsPerSecond: settings.lag.goodRecordsPerSecond,
    goodRetentionRatio: settings.lag.goodRetentionRatio,
    alertLagRecords: settings.health.lagRecords,
    alertRetentionRatio: settings.health.retentionRatio,
    isSilenceBad: settings.health.isSilenceBad
  }
}
