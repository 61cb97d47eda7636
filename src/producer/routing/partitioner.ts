/**
 * The escape hatch: a module of the user chooses the partition of every record.
 *
 * ```js
 * export function partition({ topic, key, partitionCount }) {
 *   return key === null ? 0 : key[0] % partitionCount
 * }
 * ```
 *
 * This is the one file of the producer that knows of partitions. It bends promise 8
 * (keys land where the Java client puts them), so it is warned of at every start.
 * The function is synchronous; what it throws, and any result that is not a whole
 * number from 0 to `partitionCount - 1`, makes a dead letter of that one event.
 */

import { pathToFileURL } from 'node:url'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { EventProblem } from '../event-problem.ts'

/** What the function is told. */
export interface PartitionerInput {
  readonly topic: string
  /** Not to be changed: records share it. `null` = no key. */
  readonly key: Buffer | null
  /** Partitions that the topic has now. */
  readonly partitionCount: number
}

/** Chooses a partition. */
export type PartitionFunction = (input: PartitionerInput) => number

/** A record that gets its partition. */
export interface PlacedRecord {
  readonly topic: string
  readonly key: Buffer | null
  partition: number | undefined
}

/** Asks the function, and checks what it says. */
export class Partitioner {
  readonly #choose: PartitionFunction
  readonly #countOf: (topic: string) => number | undefined
  /** What was last known: metadata that is missing for a moment must not make dead letters. */
  readonly #counts = new Map<string, number>()

  /** @param countOf - How many partitions a topic has; `undefined` = not known. */
  constructor(choose: PartitionFunction, countOf: (topic: string) => number | undefined) {
    this.#choose = choose
    this.#countOf = countOf
  }

  /** Puts the partition into a record, or says why there is none. */
  place(record: PlacedRecord): EventProblem | undefined {
    const { topic, key } = record
    const partitionCount = this.#countNow(topic)
    if (partitionCount === undefined) return unplaced(`the partition count of ${topic} is not known`)
    let chosen: unknown
    try {
      chosen = this.#choose({ topic, key, partitionCount })
    } catch (error) {
      // The message is the user's own: it may quote the event, and events stay out of messages.
      return unplaced(`the partitioner threw ${error instanceof Error ? error.name : typeof error}`)
    }
    if (typeof chosen !== 'number' || !Number.isInteger(chosen) || chosen < 0 || chosen >= partitionCount) {
      const what = typeof chosen === 'number' ? String(chosen) : typeof chosen
      return unplaced(`the partitioner answered ${what}, not a whole number from 0 to ${partitionCount - 1}`)
    }
    record.partition = chosen
    return undefined
  }

  #countNow(topic: string): number | undefined {
    const known = this.#counts.get(topic)
    const now = this.#countOf(topic) ?? 0
    if (now === 0 || now === known) return known
    this.#counts.set(topic, now)
    return now
  }
}

function unplaced(reason: string): EventProblem {
  return { errorClass: 'unplaced', reason }
}

/**
 * Loads the function from a module: its export `partition`, or its default export.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` if the file cannot be loaded or has no such export.
 */
export async function loadPartitionFunction(file: string): Promise<PartitionFunction> {
  let module: Record<string, unknown>
  try {
    module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (error) {
    const message = `producer.partitioner.file: cannot load ${file}: ${messageOf(error)}`
    throw new PipelineError('ERR_CONFIG_INVALID', message, { cause: error })
  }
  const found = module['partition'] ?? module['default']
  if (typeof found === 'function') return found as PartitionFunction
  throw new PipelineError('ERR_CONFIG_INVALID', `producer.partitioner.file: ${file} exports no function "partition"`)
}
