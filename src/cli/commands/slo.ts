/** `comporta slo`: objectives on lag, what is left of their budgets, how fast they burn; and who is told. */

import { dirname, resolve } from 'node:path'

import type { Command } from 'commander'

import type { AlertConfig, OperationsConfig, PipelineConfig } from '../../config/index.ts'
import { PipelineError, printableText, systemClock, systemRandom } from '../../core/index.ts'
import type { AlertOutbox, AlertSender, LagMonitor, SloStatus, SloTracker, WatchedLook } from '../../ops/index.ts'
import { pipelinePath } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import {
  type ClusterCommandOptions,
  type OpenCluster,
  withCluster,
  withClusterOptions
} from '../operations/cluster-options.ts'
import { duration } from '../operations/format.ts'
import { listenForLag } from '../operations/lag-keda.ts'
import { jsonLine, tableOf } from '../operations/table.ts'
import { whileRunning } from '../operations/while-running.ts'
import type { CommandAction } from './action.ts'

interface SloOptions extends ClusterCommandOptions {
  readonly watch?: boolean
  readonly state?: string
  readonly listen?: string
}

/** Adds the command. */
export function addSlo(program: Command, action: CommandAction): void {
  const command = program
    .command('slo')
    .summary('objectives on lag: budget, burn rates, alerts')
    .description(
      'Shows how the objectives of the pipeline file (operations.slo) stand. With --watch it looks again and again, ' +
        'keeps budgets, and sends alerts (operations.alerts); groups without an objective are held against ' +
        'operations.health. Budgets survive a restart in the file of --state.'
    )
    .option('--watch', 'look again and again, and send alerts, until Ctrl-C')
    .option('--state <file>', 'where budgets are kept, for one watch at a time')
    .option('--listen <address>', 'with --watch: serve lag for KEDA, Burrow’s clients and Prometheus')
    .addHelpText(
      'after',
      '\nExit codes: 0 all objectives hold, 1 a budget is spent, burns at the rate of a page, or cannot be ' +
        'told.\n\nExamples:\n' +
        '  comporta slo --state slo.json\n  comporta slo --watch --state slo.json\n' +
        '  comporta slo --watch --json --listen 9470'
    )
  withClusterOptions(command).action(action(slo))
}

async function slo(options: SloOptions): Promise<number> {
  if (options.listen !== undefined && options.watch !== true) {
    throw new PipelineError('ERR_CLI_USAGE', '--listen needs --watch; without objectives see comporta lag --listen')
  }
  return await withCluster('slo', options, async open => {
    const { LagMonitor, readSloState, SloTracker } = await import('../../ops/index.ts')
    const { operations } = await settingsOf(open.pipeline)
    const gapMsMax = Math.max(300_000, operations.alerting.everySeconds * 3000)
    const tracker = new SloTracker({ objectives: operations.slo, gapMsMax })
    const state = options.state === undefined ? undefined : await readSloState(options.state)
    if (state !== undefined) tracker.read(state)
    const monitor = new LagMonitor(monitorOptions(open, operations, options.watch === true))
    return options.watch === true
      ? await watch({ options, open, operations, tracker, monitor })
      : await show({ options, operations, tracker, monitor })
  })
}

/** The section, with its defaults where there is no pipeline file. */
async function settingsOf(pipeline: PipelineConfig | undefined): Promise<{ operations: OperationsConfig }> {
  if (pipeline !== undefined) return pipeline
  const { operationsDefaults } = await import('../../config/index.ts')
  return { operations: operationsDefaults() }
}

type MonitorOptions = ConstructorParameters<typeof LagMonitor>[0]

/** A watch sees all groups, for the health table; what is shown needs only those with an objective. */
function monitorOptions(
  { cluster }: OpenCluster,
  { slo: objectives, lag }: OperationsConfig,
  isWatch: boolean
): MonitorOptions {
  return {
    cluster,
    windowSize: lag.windowLooks,
    minimumComplete: lag.minimumComplete,
    allowedLag: lag.allowedLag,
    appendTimesMax: lag.appendTimes,
    hangingTransactionMs: lag.hangingTransactionSeconds * 1000,
    ...(isWatch ? {} : { groups: [...new Set(objectives.map(({ group }) => group))] })
  }
}

interface SloRun {
  readonly options: SloOptions
  readonly operations: OperationsConfig
  readonly tracker: SloTracker
  readonly monitor: LagMonitor
}

async function show({ options, operations, tracker, monitor }: SloRun): Promise<number> {
  if (operations.slo.length === 0) {
    process.stdout.write(
      options.json === true
        ? jsonLine({ objectives: [] })
        : 'no objectives: write them under operations.slo; --watch holds all groups against operations.health\n'
    )
    return EXIT.ok
  }
  tracker.observe(await monitor.look())
  const found = tracker.status(systemClock.now())
  process.stdout.write(options.json === true ? jsonLine({ objectives: found }) : textOf(found))
  // What could not be seen is not kept.
  const isUnseen = found.some(({ last }) => last?.kind === 'unknown')
  return isUnseen || found.some(isBroken) ? EXIT.failed : EXIT.ok
}

function isBroken({ budgetLeft, burn }: SloStatus): boolean {
  return budgetLeft <= 0 || burn.some(({ rule, isBurning }) => isBurning && rule.severity === 'page')
}

async function watch(run: SloRun & { readonly open: OpenCluster }): Promise<number> {
  const { options, open, operations, tracker, monitor } = run
  const { AlertBook, AlertOutbox, watchSlo, writeSloState } = await import('../../ops/index.ts')
  const { everySeconds, forSeconds, resolveAfterSeconds, repeatMinutes, queueMax, attemptsMax, timeoutMs } =
    operations.alerting
  const book = new AlertBook({
    forMs: forSeconds * 1000,
    resolveAfterMs: resolveAfterSeconds * 1000,
    repeatMs: repeatMinutes * 60_000
  })
  const name = open.pipeline?.name ?? open.cluster.clusterId ?? 'kafka'
  const outbox: AlertOutbox = new AlertOutbox({
    senders: await sendersOf(operations.alerts, options),
    pipeline: name,
    clock: systemClock,
    random: systemRandom,
    logger: open.logger,
    queueMax,
    attemptsMax,
    timeoutMs
  })
  const { state } = options
  const everyMs = everySeconds * 1000
  const server = options.listen === undefined ? undefined : await listenForLag(options.listen, name, everyMs)
  if (server !== undefined) process.stderr.write(`listening on ${server.url}\n`)
  process.stderr.write(watchedText(operations))
  try {
    await whileRunning(undefined, ({ signal }) =>
      watchSlo({
        look: stop => monitor.look(stop),
        tracker,
        book,
        outbox,
        clock: systemClock,
        everyMs,
        health: operations.health,
        ...(state === undefined ? {} : { save: written => writeSloState(state, written) }),
        onLook(look) {
          if (look.report !== undefined) server?.update(look.report)
          process.stdout.write(options.json === true ? jsonLine(lookJson(look)) : lookText(look))
        },
        onProblem: text => open.logger.warn({}, text),
        signal
      })
    )
  } finally {
    await outbox.close()
    await server?.close()
  }
  return tracker.status(systemClock.now()).some(isBroken) ? EXIT.failed : EXIT.ok
}

/** A watch without objectives says nothing until something is wrong: what it does is said once. */
function watchedText({ slo: objectives, alerts, alerting }: OperationsConfig): string {
  const kept = objectives.length === 0 ? 'no objectives (operations.slo)' : `objectives: ${objectives.length}`
  const sent = alerts.length === 0 ? 'shown here only (operations.alerts)' : `sent to ${alerts.length} receivers`
  return (
    `watching every ${alerting.everySeconds} s, until Ctrl-C: ${kept}; all groups are held against ` +
    `operations.health; alerts are ${sent}\n`
  )
}

function lookJson({ report, problem, slo: objectives, alerts }: WatchedLook): unknown {
  return { at: new Date(report?.takenAtMs ?? systemClock.now()).toISOString(), problem, objectives, alerts }
}

function lookText({ report, problem, slo: objectives, alerts }: WatchedLook): string {
  const at = new Date(report?.takenAtMs ?? systemClock.now()).toISOString()
  const sent = alerts.map(
    ({ status, severity, title, value }) => `${at} ${status} ${severity}: ${printableText(`${title}: ${value}`)}\n`
  )
  if (problem !== '') return [`${at} no look: ${printableText(problem)}\n`, ...sent].join('')
  const lines = objectives.map(
    ({ name, last, budgetLeft, burnLastHour }) =>
      `${at} ${printableText(name)}: ${last?.kind ?? 'unknown'}, lag ${duration(last?.lagSeconds)}, ` +
      `budget left ${percent(budgetLeft)}, burn ${burnLastHour?.toFixed(1) ?? '–'}\n`
  )
  return [...lines, ...sent].join('')
}

function percent(share: number | undefined): string {
  return share === undefined ? '–' : `${(share * 100).toFixed(2)} %`
}

function textOf(found: readonly SloStatus[]): string {
  const rate = (status: SloStatus, index: number): string => status.burn[index]?.long?.toFixed(1) ?? '–'
  return tableOf(
    [
      { title: 'OBJECTIVE', text: each => each.name },
      { title: 'TARGET', text: each => `${percent(each.objective.objective)} of ${each.objective.windowDays} d` },
      { title: 'NOW', text: each => each.last?.kind ?? 'unknown' },
      { title: 'LAG', text: each => duration(each.last?.lagSeconds), align: 'right' },
      { title: 'KEPT', text: each => percent(each.compliance), align: 'right' },
      { title: 'BUDGET LEFT', text: each => percent(each.budgetLeft), align: 'right' },
      { title: 'SPENT IN', text: each => duration(each.exhaustedInSeconds), align: 'right' },
      { title: 'BURN 1H', text: each => rate(each, 0), align: 'right' },
      { title: '6H', text: each => rate(each, 1), align: 'right' },
      { title: '1D', text: each => rate(each, 2), align: 'right' },
      { title: '3D', text: each => rate(each, 3), align: 'right' }
    ],
    found
  )
}

/** Secrets are read once, at the start; a missing one ends the command before it watches. */
async function sendersOf(alerts: readonly AlertConfig[], options: SloOptions): Promise<AlertSender[]> {
  const { lineSender, slackSender, snsSender, webhookSender } = await import('../../ops/index.ts')
  const { SourceReader } = await import('../certificates/source-reader.ts')
  const round = new SourceReader(process.env).round()
  const folder = dirname(pipelinePath(options))
  type Secret = Extract<AlertConfig, { type: 'webhook' }>['url']
  const read = async (secret: Secret, path: readonly string[]): Promise<string> => {
    const isFile = typeof secret === 'object' && secret.file !== undefined
    const source = isFile ? { ...secret, file: resolve(folder, secret.file ?? '') } : secret
    try {
      return await round.text(source, path)
    } catch (error) {
      // The reader is made for `kafka:`, and says so.
      if (!PipelineError.is(error)) throw error
      const { code, fields, retriable } = error
      const message = error.message.replaceAll('kafka.operations.', 'operations.')
      throw new PipelineError(code, message, { fields, retriable, cause: error })
    }
  }
  return await Promise.all(
    alerts.map(async (alert, index): Promise<AlertSender> => {
      const name = `operations.alerts[${index}] (${alert.type})`
      const path = ['operations', 'alerts', String(index)]
      const { severities } = alert
      switch (alert.type) {
        case 'webhook': {
          const url = await read(alert.url, [...path, 'url'])
          const secret = alert.secret === undefined ? undefined : await read(alert.secret, [...path, 'secret'])
          return webhookSender({ name, severities, url, secret, headers: alert.headers, clock: systemClock })
        }
        case 'slack':
          return slackSender({ name, severities, url: await read(alert.url, [...path, 'url']) })
        case 'sns':
          return snsSender({
            name,
            severities,
            topicArn: alert.topicArn,
            region: alert.region,
            endpoint: alert.endpoint
          })
        case 'stdout':
          return lineSender({ name, severities, write: line => void process.stdout.write(line) })
      }
    })
  )
}
