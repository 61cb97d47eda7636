/** Options of the commands about partitions: how things are measured, and in what cluster. */

import { join, resolve } from 'node:path'

import { type Command, InvalidArgumentError, Option } from 'commander'

import { PipelineError } from '../../core/index.ts'
import type { ClusterProfile } from '../../ops/index.ts'
import { withClusterOptions } from './cluster-options.ts'
import { type ChangeCommandOptions, undoFolder } from './run-change.ts'

/** What is known better than it can be measured. */
export interface MeasureOptions {
  readonly group?: string
  readonly observe?: string
  readonly consumerCpu?: number
  readonly moreConsumersDidNotHelp?: boolean
  readonly profile?: ClusterProfile
  readonly brokerType?: string
}

/** Adds what says how things are measured, and in what cluster. */
export function withMeasures(command: Command): Command {
  return withClusterOptions(command)
    .option('--group <name>', 'the group whose lag counts (default: the one with members and the largest lag)')
    .option('--observe <duration>', 'how long rates are measured', '15s')
    .option('--consumer-cpu <percent>', 'processor of the consumers, 0 to 100', readPercent)
    .option('--more-consumers-did-not-help', 'more consumers were tried, without effect')
    .addOption(
      new Option('--profile <kind>', 'whose limits hold: Amazon MSK, or none')
        .choices(['self', 'standard', 'express', 'serverless'])
        .default('self')
    )
    .option('--broker-type <type>', 'type of the MSK brokers, for example kafka.m7g.large')
}

/** What is there of some options. */
export function present<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  // Those that are `undefined` are left out, so the rest is not.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** A duration of an option, in milliseconds. */
export async function millisecondsOf(name: string, text: string): Promise<number> {
  const { readDuration } = await import('../../ops/index.ts')
  const read = readDuration(text)
  if (read.kind === 'invalid') throw new PipelineError('ERR_CLI_USAGE', `${name}: ${read.reason}`)
  if (read.ms < 0) throw new PipelineError('ERR_CLI_USAGE', `${name}: no time is negative`)
  return read.ms
}

/** File of the state of a migration: beside the folder of undo records. */
export function migrationFile(options: ChangeCommandOptions, topic: string): string {
  return resolve(join(undoFolder(options), '..', 'migrations', `${topic}.json`))
}

/** Reads a count of partitions or instances. */
export function readCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 100_000) return count
  throw new InvalidArgumentError('A count is a whole number from 1 to 100000.')
}

function readPercent(text: string): number {
  const percent = Number(text.replace(/%$/, ''))
  if (text !== '' && percent >= 0 && percent <= 100) return percent / 100
  throw new InvalidArgumentError('A share is a number from 0 to 100.')
}
