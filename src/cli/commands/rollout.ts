/** `comporta rollout`: the instances of the fleet made anew, one at a time, behind gates. */

import type { Command } from 'commander'

import type { PipelineConfig, RolloutConfig } from '../../config/index.ts'
import { PipelineError, printableText, systemClock } from '../../core/index.ts'
import type { ChangePlan, FleetActuator, RolloutAction, RolloutSight, RolloutState } from '../../ops/index.ts'
import { confirmByTyping } from '../confirm.ts'
import { needSection } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import {
  type ClusterCommandOptions,
  type OpenCluster,
  withCluster,
  withClusterOptions
} from '../operations/cluster-options.ts'
import { planText } from '../operations/run-change.ts'
import { jsonLine } from '../operations/table.ts'
import { whileRunning } from '../operations/while-running.ts'
import type { CommandAction } from './action.ts'
import { duration } from '../operations/format.ts'

interface RolloutOptions extends ClusterCommandOptions {
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly resume?: boolean
  readonly canary?: string
}

const HELP = `
Exit codes: 0 every instance is new (or --dry-run of one that can begin); 1 halted, not confirmed, or a gate is shut;
75 paused after the canaries; 130 stopped between two instances.

Examples:
  comporta rollout --dry-run
  comporta rollout --canary 1
  comporta rollout --resume --yes`

/** Adds the command. */
export function addRollout(program: Command, action: CommandAction): void {
  withClusterOptions(program.command('rollout'))
    .summary('restart the fleet one instance at a time, watched')
    .description(
      'Replaces the instances of operations.fleet one by one. The next is taken only when all instances are up, the ' +
        'group is stable and complete, every partition has an owner and the lag is back. ' +
        'What gets out of hand halts it.'
    )
    .option('--dry-run', 'show the plan and change nothing')
    .option('--yes', 'do not ask')
    .option('--canary <count>', 'pause after so many instances (default: operations.rollout.canary)')
    .option('--resume', 'go on with a rollout that has paused, halted or was stopped')
    .addHelpText('after', HELP)
    .action(action(rollout))
}

async function rollout(options: RolloutOptions): Promise<number> {
  return await withCluster('rollout', options, async open => {
    const { pipeline } = open
    const config = pipeline?.operations.fleet
    if (pipeline === undefined || config === undefined) {
      throw new PipelineError('ERR_CLI_USAGE', 'the pipeline file has no operations.fleet: there is nothing to roll')
    }
    const { lockFleet, openFleet } = await import('../../ops/index.ts')
    const { stateFile } = pipeline.operations.scale
    const lock = options.dryRun === true ? undefined : await lockFleet(`${stateFile}.rollout.lock`, 'comporta rollout')
    const fleet = await openFleet(config, { environment: process.env, clock: systemClock })
    try {
      return await roll({ options, open, pipeline, fleet, stateFile: `${stateFile}.rollout` })
    } finally {
      await fleet.close?.()
      await lock?.release()
    }
  })
}

interface Given {
  readonly options: RolloutOptions
  readonly open: OpenCluster
  readonly pipeline: PipelineConfig
  readonly fleet: FleetActuator
  readonly stateFile: string
}

async function roll(given: Given): Promise<number> {
  const { options, pipeline, fleet, stateFile } = given
  const { rolloutDefaults } = await import('../../config/index.ts')
  const policy = policyOf(options, pipeline.operations.rollout ?? rolloutDefaults())
  const sight = await sightOf(given)
  const { newRollout, readRollout, resumeRollout, runRollout } = await import('../../ops/index.ts')
  const before = await readRollout(stateFile)
  const isLeft = before !== undefined && before.phase !== 'done' && before.fleet === fleet.name
  if (options.resume === true && !isLeft) {
    throw new PipelineError('ERR_CLI_USAGE', `there is no rollout of ${fleet.name} to resume`)
  }
  const observation = await sight.look()
  const state =
    options.resume === true && isLeft ? resumeRollout(before, systemClock.now()) : newRollout(fleet.name, observation)
  const plan = await planOf(given, { state, observation, policy })
  if (isLeft && options.resume !== true) {
    const left = `an earlier rollout stopped after ${before.done.length} instances: --resume goes on with it`
    process.stderr.write(`${left}; this one begins with the first\n`)
  }
  const verdict = await agreed(plan, options, fleet.name)
  if (verdict !== undefined) return verdict
  const print = printer(options)
  const ended = await whileRunning(undefined, ({ signal }) =>
    runRollout(
      {
        fleet,
        policy,
        pollSeconds: policy.pollSeconds,
        clock: systemClock,
        stateFile,
        observe: one => sight.look(one),
        onAction: print,
        signal
      },
      state
    )
  )
  return endOf(ended, { options, fleet })
}

function policyOf({ canary }: RolloutOptions, config: RolloutConfig): RolloutConfig {
  if (canary === undefined) return config
  const count = Number(canary)
  if (!Number.isInteger(count) || count < 0) throw new PipelineError('ERR_CLI_USAGE', '--canary is a whole number')
  return { ...config, canary: count }
}

async function sightOf({ options, open, pipeline, fleet }: Given): Promise<RolloutSight> {
  const { RolloutSight } = await import('../../ops/index.ts')
  const dispatcher = pipeline.dispatcher ?? needSection(pipeline, 'dispatcher', options)
  return new RolloutSight({
    cluster: open.cluster,
    clock: systemClock,
    fleet,
    group: dispatcher.groupId,
    topics: dispatcher.topics,
    isReadCommitted: dispatcher.isolationLevel === 'read_committed',
    deadLetterTopic: dispatcher.deadLetterTopic
  })
}

type PlanParts = Pick<
  Parameters<typeof import('../../ops/index.ts').planRollout>[0],
  'state' | 'observation' | 'policy'
>

async function planOf({ open, pipeline, fleet }: Given, parts: PlanParts): Promise<ChangePlan> {
  const { planRollout } = await import('../../ops/index.ts')
  const { dispatcher } = pipeline
  const [group] = dispatcher === undefined ? [] : await open.admin.describeGroups([dispatcher.groupId])
  const assignors =
    dispatcher === undefined || group === undefined
      ? {}
      : {
          assignors: {
            inUse: group.protocol,
            configured: dispatcher.assignors,
            groupProtocol: dispatcher.groupProtocol
          }
        }
  const isStatic = dispatcher?.groupInstanceId !== undefined && dispatcher.staticStop === 'keep'
  return planRollout({
    ...parts,
    ...assignors,
    fleet,
    staticSeconds: isStatic ? dispatcher.sessionTimeoutMs / 1000 : undefined,
    keeperProblems: (await fleet.rollout?.check()) ?? []
  })
}

/** The exit code where it ends before it begins. */
async function agreed(plan: ChangePlan, options: RolloutOptions, word: string): Promise<number | undefined> {
  const isDry = options.dryRun === true
  const isShown = plan.blockers.length > 0 || isDry
  if (options.json === true && isShown) process.stdout.write(jsonLine({ plan, isDryRun: isDry, isApplied: false }))
  if (options.json !== true) process.stdout.write(planText(plan))
  if (plan.blockers.length > 0) {
    process.stderr.write('Nothing was changed.\n')
    return EXIT.failed
  }
  if (isDry) return EXIT.ok
  if (options.yes === true || (await confirmByTyping(word))) return undefined
  process.stderr.write('Nothing was changed.\n')
  return EXIT.failed
}

/** Waits are said when they change. */
function printer(options: RolloutOptions): (action: RolloutAction, state: RolloutState) => void {
  let said = ''
  const startedMs = systemClock.monotonicMs()
  return (action, state) => {
    const text = printableText(action.reasons.join('; '))
    if (options.json === true) {
      const { done, remaining, phase, current } = state
      process.stdout.write(jsonLine({ ...action, phase, current, done, remaining: remaining.map(({ id }) => id) }))
      return
    }
    const line = `${action.kind}: ${text.replace(/\d+/g, '')}`
    if (line === said) return
    said = line
    const at = duration((systemClock.monotonicMs() - startedMs) / 1000)
    process.stderr.write(`${at.padStart(10)}  ${action.kind === 'restart' ? 'replace' : action.kind}: ${text}\n`)
  }
}

function endOf(
  { phase, done, remaining, haltReason }: RolloutState,
  { options, fleet }: { readonly options: RolloutOptions; readonly fleet: FleetActuator }
): number {
  const left = remaining.length
  const goBack =
    fleet.rollout?.goBack ?? 'put the configuration, or the image, of before in place and run comporta rollout again'
  if (options.json !== true) {
    if (phase === 'done') process.stdout.write(`all ${done.length} instances are new\n`)
    else {
      const why =
        phase === 'halted' ? `halted: ${printableText(haltReason ?? '')}` : phase === 'paused' ? 'paused' : 'stopped'
      process.stdout.write(
        `${why}\n${done.length} instances are new, ${left} are not.\n` +
          `Go on: comporta rollout --resume\nGo back: ${goBack}\n`
      )
    }
  }
  if (phase === 'done') return EXIT.ok
  if (phase === 'paused') return EXIT.incomplete
  return phase === 'halted' ? EXIT.failed : EXIT.interrupted
}
