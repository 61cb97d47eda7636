/** `comporta scale`: how many instances the group should have, and, with `--apply`, has. */

import type { Command } from 'commander'

import type { FleetConfig, ScaleConfig } from '../../config/index.ts'
import { PipelineError, printableText, systemClock } from '../../core/index.ts'
import type { FleetActuator, ScaleDecision, ScaleLook, Scaler, ScalerOptions } from '../../ops/index.ts'
import { logLevelOf, loadPipeline, needSection } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import {
  type ClusterCommandOptions,
  type OpenCluster,
  withCluster,
  withClusterOptions
} from '../operations/cluster-options.ts'
import { LocalFleet } from '../operations/local-fleet.ts'
import { serveFleet } from '../operations/fleet-socket.ts'
import { openUndoStore, type ChangeCommandOptions } from '../operations/run-change.ts'
import { jsonLine } from '../operations/table.ts'
import { whileRunning } from '../operations/while-running.ts'
import { dispatcherWithEndpoint } from '../wiring.ts'
import type { CommandAction } from './action.ts'

interface ScaleOptions extends ClusterCommandOptions, ChangeCommandOptions {
  readonly group?: string
  readonly apply?: boolean
  readonly once?: boolean
}

const HELP = `
Exit codes: 0 ended by Ctrl-C, or (--once) the size is right or was changed; 1 (--once) another size is wanted, or
nothing could be decided.

Examples:
  comporta scale
  comporta scale --once --json
  comporta scale --apply`

/** Adds the command. */
export function addScale(program: Command, action: CommandAction): void {
  withClusterOptions(program.command('scale'))
    .summary('decide how many instances the group needs; with --apply, see to it')
    .description(
      'Looks at lag, rates and members each operations.scale.periodSeconds and says how many instances there should ' +
        'be, and why. Without --apply nothing is changed. With it the fleet of operations.fleet is resized; a local ' +
        'fleet runs its dispatchers under this command. Ctrl-C drains them and ends.'
    )
    .option('--group <name>', 'the group (default: operations.scale.group, or the dispatcher’s)')
    .option('--apply', 'resize the fleet, not only say so')
    .option('--once', 'look until there is something to say, say it, and end')
    .option('--undo-dir <folder>', 'where the sizes of before are kept, for comporta undo')
    .addHelpText('after', HELP)
    .action(action(scale))
}

async function scale(options: ScaleOptions): Promise<number> {
  return await withCluster('scale', options, async open => {
    const config = open.pipeline?.operations.scale ?? (await import('../../config/index.ts')).scaleDefaults()
    const group = options.group ?? config.group ?? open.pipeline?.dispatcher?.groupId
    if (group === undefined) throw new PipelineError('ERR_CLI_USAGE', 'which group? say --group <name>')
    const given: Given = { options, open, config, group }
    return options.apply === true ? await act(given) : await watch(given, await readOnlyFleet(open))
  })
}

interface Given {
  readonly options: ScaleOptions
  readonly open: OpenCluster
  readonly config: ScaleConfig
  readonly group: string
}

/** For a dry run: looks at the fleet, or, where its processes do not run yet, at the members of the group. */
async function readOnlyFleet({ pipeline }: OpenCluster): Promise<FleetActuator | undefined> {
  const config = pipeline?.operations.fleet
  if (config === undefined || config.type === 'local') return undefined
  const { openFleet } = await import('../../ops/index.ts')
  return await openFleet(config, { environment: process.env, clock: systemClock })
}

async function watch(given: Given, fleet: FleetActuator | undefined): Promise<number> {
  try {
    return await run(given, { fleet })
  } finally {
    await fleet?.close?.()
  }
}

async function act(given: Given): Promise<number> {
  const { open, config } = given
  const fleetConfig = open.pipeline?.operations.fleet
  if (fleetConfig === undefined) {
    throw new PipelineError('ERR_CLI_USAGE', 'the pipeline file has no operations.fleet: there is nothing to resize')
  }
  const { lockFleet } = await import('../../ops/index.ts')
  const lock = await lockFleet(`${config.stateFile}.lock`, 'comporta scale')
  try {
    return fleetConfig.type === 'local' ? await actLocally(given, fleetConfig) : await actOn(given, fleetConfig)
  } finally {
    await lock.release()
  }
}

async function actOn(given: Given, config: FleetConfig): Promise<number> {
  const { openFleet } = await import('../../ops/index.ts')
  const fleet = await openFleet(config, { environment: process.env, clock: systemClock })
  try {
    return await run(given, { fleet, apply: await applierOf(given, fleet) })
  } finally {
    await fleet.close?.()
  }
}

async function actLocally(
  given: Given,
  { socket, drainMs, hasMetrics }: FleetConfig & { type: 'local' }
): Promise<number> {
  const { options, open, config } = given
  const { logger, pipeline } = open
  const section = pipeline && (pipeline.dispatcher ?? needSection(pipeline, 'dispatcher', options))
  const fleet = new LocalFleet({
    // Read again for each process: one that is made anew is made from what the file says then.
    dispatcher: async () => {
      const fresh = await loadPipeline(options)
      const dispatcher = dispatcherWithEndpoint(fresh) ?? needSection(fresh, 'dispatcher', options)
      return { kafka: fresh.kafka, dispatcher, ...(hasMetrics ? { metricsPort: 0 } : {}) }
    },
    drainMs: drainMs ?? section?.drainMs ?? 30_000,
    logger,
    logLevel: logLevelOf(options)
  })
  const endSocket = await serveFleet(fleet, socket)
  let exitCode: number
  try {
    await fleet.resize(await sizeToBegin(config))
    logger.info({ instances: (await fleet.size()).wanted, socket }, 'the local fleet runs')
    exitCode = await run(given, {
      fleet,
      apply: await applierOf(given, fleet),
      metricsUrls: () => [...config.metricsUrls, ...fleet.metricsUrls]
    })
  } finally {
    await endSocket()
    await fleet.close()
  }
  return exitCode === EXIT.ok && !fleet.isComplete ? EXIT.incomplete : exitCode
}

/** As large as it was before a restart of this command, within its limits. */
async function sizeToBegin({ stateFile, instancesMin, instancesMax }: ScaleConfig): Promise<number> {
  const { readScaleState } = await import('../../ops/index.ts')
  const { lastWanted = instancesMin } = await readScaleState(stateFile)
  return Math.min(instancesMax, Math.max(instancesMin, lastWanted))
}

/** Each resize is a change: recorded with the size before, for `comporta undo`. */
async function applierOf({ options, open }: Given, fleet: FleetActuator): Promise<NonNullable<ScalerOptions['apply']>> {
  const { applyChange, resizeChange } = await import('../../ops/index.ts')
  const store = await openUndoStore(options)
  return async ({ from = 0, to = 0, reasons }, signal) => {
    const change = resizeChange({ fleet, from, to, reasons })
    const { record } = await applyChange(change, {
      store,
      clusterId: null,
      ...(signal === undefined ? {} : { signal })
    })
    open.logger.info({ fleet: fleet.name, from, to, undo: `comporta undo ${record.id}` }, 'resized')
  }
}

type Parts = Pick<ScalerOptions, 'fleet' | 'apply' | 'metricsUrls'>

async function run({ options, open, config, group }: Given, parts: Parts): Promise<number> {
  const { Scaler } = await import('../../ops/index.ts')
  const { periodSeconds, stateFile, metricsUrls, group: _, ...policy } = config
  const dispatcher = open.pipeline?.dispatcher
  const isOwn = dispatcher?.groupId === group
  const { keda, ...rest } = policy
  const { topic, partitionLimitation, ...kedaRest } = keda
  const scaler = new Scaler({
    cluster: open.cluster,
    clock: systemClock,
    group,
    ...(isOwn ? { topics: dispatcher.topics, isReadCommitted: dispatcher.isolationLevel === 'read_committed' } : {}),
    policy: {
      ...rest,
      staleSeconds: Math.max(90, periodSeconds * 3),
      keda: {
        ...kedaRest,
        ...(topic === undefined ? {} : { topic }),
        ...(partitionLimitation === undefined ? {} : { partitionLimitation })
      }
    },
    periodSeconds,
    stateFile,
    rolloutLock: `${stateFile}.rollout.lock`,
    metricsUrls: () => metricsUrls,
    ...parts
  })
  return options.once === true ? await once(scaler, options, config) : await forever(scaler, options)
}

async function forever(scaler: Scaler, options: ScaleOptions): Promise<number> {
  const print = printer(options)
  await whileRunning(undefined, ({ signal }) => scaler.run(print, signal))
  return EXIT.ok
}

/** Rates need two looks, and a group that has been settled for a while. */
async function once(
  scaler: Scaler,
  options: ScaleOptions,
  { measureSeconds, periodSeconds }: ScaleConfig
): Promise<number> {
  const looksMax = Math.ceil(measureSeconds / periodSeconds) + 3
  let last: ScaleLook | undefined
  await whileRunning(undefined, async ({ signal }) => {
    const end = new AbortController()
    let looks = 0
    const onLook = (look: ScaleLook): void => {
      last = look
      looks += 1
      const isEarly = look.decision.hold === 'unknownInput' || look.decision.hold === 'measuring'
      if (isEarly && looks < looksMax)
        process.stderr.write(`measuring: ${printableText(look.decision.reasons[0] ?? '')}\n`)
      else end.abort()
    }
    await scaler.run(onLook, AbortSignal.any([signal, end.signal]))
  })
  if (last === undefined) return EXIT.interrupted
  printer(options)(last)
  const { decision, isApplied } = last
  if (decision.hold === 'unknownInput' || decision.hold === 'measuring') return EXIT.failed
  return decision.action === 'resize' && !isApplied ? EXIT.failed : EXIT.ok
}

/** For people: all of a decision when it is another than the last, else a line. */
function printer(options: ScaleOptions): (look: ScaleLook) => void {
  let before = ''
  return look => {
    if (options.json === true) {
      const { decision, isApplied, problem, observation } = look
      const { target, problems } = observation
      process.stdout.write(
        jsonLine({ ...decision, isApplied, isDryRun: options.apply !== true, problem, target, problems })
      )
      return
    }
    const head = headOf(look, options)
    const isNew = head !== before
    before = head
    const { reasons, alternatives } = look.decision
    const shown = isNew ? reasons : reasons.slice(0, 1)
    const time = new Date(look.decision.atMs).toTimeString().slice(0, 8)
    let text = `${time} ${head}\n${shown.map(reason => `         ${printableText(reason)}\n`).join('')}`
    if (look.problem !== undefined) text += `         failed: ${printableText(look.problem)}\n`
    if (isNew) {
      for (const { instances, effect } of alternatives) text += `         ${String(instances).padStart(3)}: ${effect}\n`
    }
    process.stdout.write(text)
  }
}

function headOf({ decision, isApplied }: ScaleLook, { apply }: ScaleOptions): string {
  const { from, to, action, hold } = decision
  if (action === 'resize') {
    const what = isApplied ? 'resized' : apply === true ? 'could not resize' : 'would resize'
    return `${what} from ${from} to ${to}`
  }
  return `${from ?? '?'} instances, ${wordOf(hold)}`
}

function wordOf(hold: ScaleDecision['hold']): string {
  return hold === 'none' ? 'as it should be' : `held: ${hold}`
}
