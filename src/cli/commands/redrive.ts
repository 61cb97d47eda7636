/** `comporta redrive`: dead letters back to the topics that they came from. */

import { hostname, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'

import { type Command, Option } from 'commander'

import { PipelineError, systemClock } from '../../core/index.ts'
import type { RecordBound, RedriveChange, RedriveRequest } from '../../ops/index.ts'
import { pipelinePath } from '../context.ts'
import { type ClusterCommandOptions, withCluster, withClusterOptions } from '../operations/cluster-options.ts'
import {
  BOUND_HELP,
  isQueryEmpty,
  parseCount,
  queryOf,
  type QueryOptions,
  readBound,
  withQueryOptions
} from '../operations/record-options.ts'
import { type ChangeCommandOptions, runChange, withChangeOptions } from '../operations/run-change.ts'
import { tableOf } from '../operations/table.ts'
import type { CommandAction } from './action.ts'
import { collect } from '../operations/collect.ts'

interface RedriveOptions extends ClusterCommandOptions, ChangeCommandOptions, QueryOptions {
  readonly to?: string
  readonly class?: readonly string[]
  readonly reason?: string
  readonly origin?: readonly string[]
  readonly since?: { readonly bound: RecordBound; readonly name: string }
  readonly until?: RecordBound
  readonly minRedrives?: number
  readonly maxRedrives: number
  readonly timestamp: 'original' | 'now'
  readonly rate?: number
  readonly limit?: number
  readonly group?: string
  readonly restart?: boolean
  readonly audit?: string | false
  readonly by?: string
}

const EXAMPLES = `
Exit codes: 0 all was redriven, 1 refused or not all of it, 130 stopped; the same command goes on where it stopped.

Examples:
  comporta redrive --dry-run
  comporta redrive dead-letters --class RetriesExhausted --since 2h --rate 100
  comporta redrive dead-letters --origin mt-c400 --where vehicle.code=400 --yes
  comporta redrive dead-letters --to mt-c400 --class malformed --timestamp now --yes`

/** Adds the command. */
export function addRedrive(program: Command, action: CommandAction): void {
  const command = program
    .command('redrive [topic]')
    .summary('send dead letters to where they came from again')
    .description(
      'Appends the records of a dead letter topic (default: that of the dispatcher) to the topics that they ' +
        'came from: key, value, headers and time as they were. The dead letters stay. A group of its own keeps the ' +
        'progress.'
    )
    .option('--to <topic>', 'this topic for all, instead of where each came from')
    .option('--class <name>', 'only this error class; may be given again', collect)
    .option('--reason <pattern>', 'only reasons in which this regular expression (RE2) matches')
    .option('--origin <topic>', 'only records of this topic; may be given again', collect)
    .option('--since <where>', `only dead letters written since: ${BOUND_HELP}`, readSince)
    .option('--until <where>', 'only dead letters written before', readBound)
  withQueryOptions(command)
    .option('--min-redrives <number>', 'only records that were redriven so often already', parseCount)
    .option('--max-redrives <number>', 'records that were redriven so often stay', parseCount, 3)
    .addOption(
      new Option('--timestamp <which>', 'whether records keep their time')
        .choices(['original', 'now'])
        .default('original')
    )
    .option('--rate <number>', 'records per second (default: as fast as Kafka takes them)', parseCount)
    .option('--limit <number>', 'at most so many records in this run', parseCount)
    .option('--group <name>', 'group that keeps the progress (default: <topic>-redrive, with the filter in its name)')
    .option('--restart', 'begin anew, whatever an earlier run has done')
    .option(
      '--audit <file>',
      'list of what was redriven, NDJSON (default: .comporta/redrive/ beside the pipeline file)'
    )
    .option('--no-audit', 'write no list')
    .option('--by <name>', 'who does it, for the list and the header of the records (default: user@host)')
    .addHelpText('after', EXAMPLES)
  withChangeOptions(withClusterOptions(command)).action(
    action<RedriveOptions>(async (options, topic) => await redrive(options, topic))
  )
}

async function redrive(options: RedriveOptions, named: string | undefined): Promise<number> {
  return await withCluster('redrive', options, async open => {
    const { planRedrive, redriveAuditFile } = await import('../../ops/index.ts')
    const deadLetterTopic = named ?? open.pipeline?.dispatcher?.deadLetterTopic
    if (deadLetterTopic === undefined) {
      throw new PipelineError('ERR_CLI_USAGE', 'name the dead letter topic: comporta redrive <topic>')
    }
    const request = requestOf(options, deadLetterTopic)
    const audit = auditPath(options, deadLetterTopic)
    const change = await planRedrive(
      {
        cluster: open.cluster,
        admin: open.admin,
        clock: systemClock,
        onTrouble: text => void process.stderr.write(`warning: ${text}\n`),
        ...(audit === undefined ? {} : { audit: redriveAuditFile(audit) })
      },
      request
    )
    printSamples(change, options)
    const { clusterId } = open.cluster
    const more = { samples: change.samples }
    const code = await runChange(change, { ...options, clusterId, logger: open.logger, more })
    const { effects, blockers } = change.plan
    const isRun = effects.length > 0 && blockers.length === 0 && options.dryRun !== true
    if (audit !== undefined && isRun && options.json !== true) {
      process.stderr.write(`What was redriven is listed in ${audit}\n`)
    }
    return code
  })
}

function requestOf(options: RedriveOptions, deadLetterTopic: string): RedriveRequest {
  const { since, until } = options
  const query = queryOf(options)
  const reason =
    options.reason === undefined ? [] : [{ in: { header: 'comporta-error-reason' }, regex: options.reason }]
  const all = { ...query, text: [...(query.text ?? []), ...reason] }
  return {
    deadLetterTopic,
    redrivesMax: options.maxRedrives,
    timestamp: options.timestamp,
    by: options.by ?? ownName(),
    ...(since === undefined ? {} : { since: since.bound, sinceName: since.name }),
    ...(until === undefined ? {} : { until }),
    ...(isQueryEmpty(all) ? {} : { query: all }),
    ...(options.to === undefined ? {} : { to: options.to }),
    ...(options.class === undefined ? {} : { errorClasses: options.class }),
    ...(options.origin === undefined ? {} : { originTopics: options.origin }),
    ...(options.minRedrives === undefined ? {} : { redrivesMin: options.minRedrives }),
    ...(options.rate === undefined ? {} : { ratePerSecond: options.rate }),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    ...(options.group === undefined ? {} : { groupId: options.group }),
    ...(options.restart === true ? { isRestarted: true } : {})
  }
}

function auditPath(options: RedriveOptions, deadLetterTopic: string): string | undefined {
  if (options.audit === false) return undefined
  if (options.audit !== undefined) return resolve(options.audit)
  return join(resolve(dirname(pipelinePath(options))), '.comporta', 'redrive', `${deadLetterTopic}.ndjson`)
}

function ownName(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    // A container may have no user of this number.
    return hostname()
  }
}

function printSamples({ samples }: RedriveChange, options: RedriveOptions): void {
  if (samples.length === 0 || options.json === true) return
  const table = tableOf(
    [
      { title: 'for example', text: each => each.letter },
      { title: 'key', text: each => each.key ?? 'null' },
      { title: 'to', text: each => each.to },
      { title: 'class', text: each => each.errorClass },
      { title: 'reason', text: each => each.reason.slice(0, 80) }
    ],
    samples
  )
  process.stdout.write(`${table}\n`)
}

function readSince(text: string): { bound: RecordBound; name: string } {
  return { bound: readBound(text), name: text }
}
