/**
 * Asks something of many groups: few requests, whatever their number.
 *
 * Coordinators are looked up together (KIP-699), then every coordinator is asked
 * about its groups in batches. Groups fail one by one: what may pass is asked
 * again until the time is over, and what is left says why. A coordinator that is
 * away costs its own groups, and no others.
 */

import { backoffMs, sleep } from '../core/index.ts'
import { findCoordinatorApi, isKafkaErrorRetriable, kafkaErrorName } from '../protocol/index.ts'
import type { Cluster } from './cluster.ts'
import { asPipelineError, isCoordinatorMoved, KAFKA } from './kafka-error.ts'

const backoff = { initialMs: 50, maxMs: 1_000 }
/** Most groups that one FindCoordinator names. */
const keysPerRequestMax = 1_000
/** How many are looked up at the same time where a broker knows no batches. */
const singleLookupsMax = 16
/** First version of FindCoordinator that takes many keys (KIP-699). */
const batchedVersion = 4

/** How much patience there is. */
export interface ManyGroupsOptions {
  /** How long what may pass is asked again, and answers are waited for, in milliseconds. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number
  /** Gives up. */
  readonly signal?: AbortSignal
}

/** What became of one group. */
export interface GroupAnswer<T> {
  readonly groupId: string
  /** -1 = none was found. */
  readonly coordinatorId: number
  /** 0 = it was answered. `COORDINATOR_NOT_AVAILABLE` (15) stands for a broker that cannot be reached, too. */
  readonly errorCode: number
  /** Why there is no answer, for people; empty = there is one. */
  readonly problem: string
  readonly value: T | undefined
}

/** One question, as it is asked of a coordinator. */
export interface ManyGroupsQuestion<T> extends ManyGroupsOptions {
  readonly groupIds: readonly string[]
  /** Name of the API, for messages. */
  readonly what: string
  /** Most groups that one request names. */
  readonly batchMax: number
  /** Asks a coordinator about some of its groups. A group that the answer leaves out counts as not found. */
  readonly ask: (
    coordinatorId: number,
    groupIds: readonly string[],
    timeoutMs: number
  ) => Promise<ReadonlyMap<string, { readonly errorCode: number; readonly value: T }>>
}

/** Asks, and gives an answer for each group, in the order of the groups. */
export async function askManyGroups<T>(cluster: Cluster, question: ManyGroupsQuestion<T>): Promise<GroupAnswer<T>[]> {
  const run = new Run(cluster, question)
  await run.whole()
  return question.groupIds.map(groupId => run.answerOf(groupId))
}

class Run<T> {
  readonly #cluster: Cluster
  readonly #question: ManyGroupsQuestion<T>
  readonly #deadlineMs: number
  readonly #answers = new Map<string, GroupAnswer<T>>()
  #open: string[]
  #again: string[] = []

  constructor(cluster: Cluster, question: ManyGroupsQuestion<T>) {
    this.#cluster = cluster
    this.#question = question
    this.#open = [...new Set(question.groupIds)]
    this.#deadlineMs = cluster.clock.monotonicMs() + (question.timeoutMs ?? cluster.requestTimeoutMs)
  }

  answerOf(groupId: string): GroupAnswer<T> {
    const none = { coordinatorId: -1, errorCode: KAFKA.GROUP_ID_NOT_FOUND, value: undefined }
    return this.#answers.get(groupId) ?? { groupId, ...none, problem: `${this.#question.what}: not asked` }
  }

  /** Rounds until every group has an answer; the last round ends at the deadline and takes what it gets. */
  async whole(): Promise<void> {
    const { clock, random } = this.#cluster
    for (let failures = 1; this.#open.length > 0; failures += 1) {
      this.#again = []
      await this.#round()
      this.#open = this.#again
      if (this.#open.length === 0) return
      await sleep(clock, backoffMs(backoff, failures, random), this.#question.signal)
    }
  }

  get #isLast(): boolean {
    return this.#question.signal?.aborted === true || this.#leftMs <= 0
  }

  get #leftMs(): number {
    return this.#deadlineMs - this.#cluster.clock.monotonicMs()
  }

  async #round(): Promise<void> {
    await this.#findCoordinators()
    const byCoordinator = new Map<number, string[]>()
    for (const groupId of this.#open) {
      const coordinatorId = this.#cluster.knownCoordinator('group', groupId)
      if (coordinatorId === undefined) continue
      const ids = byCoordinator.get(coordinatorId)
      if (ids === undefined) byCoordinator.set(coordinatorId, [groupId])
      else ids.push(groupId)
    }
    await Promise.all([...byCoordinator].map(([coordinatorId, ids]) => this.#askCoordinator(coordinatorId, ids)))
  }

  /** A coordinator answers one request after the other: two on the way keep it busy, more would only pile up. */
  async #askCoordinator(coordinatorId: number, groupIds: readonly string[]): Promise<void> {
    const batches = chunksOf(groupIds, this.#question.batchMax)
    const worker = async (): Promise<void> => {
      for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
        await this.#askBatch(coordinatorId, batch)
      }
    }
    await Promise.all([worker(), worker()])
  }

  async #askBatch(coordinatorId: number, groupIds: readonly string[]): Promise<void> {
    try {
      const found = await this.#question.ask(coordinatorId, groupIds, this.#timeoutMs)
      for (const groupId of groupIds) {
        const answer = found.get(groupId)
        if (answer?.errorCode === KAFKA.NONE) {
          this.#answers.set(groupId, { groupId, coordinatorId, errorCode: 0, problem: '', value: answer.value })
        } else this.#fail(groupId, answer?.errorCode ?? KAFKA.GROUP_ID_NOT_FOUND, { coordinatorId, ...answer })
      }
    } catch (cause) {
      const error = asPipelineError(cause, this.#question.what)
      // A version that a broker does not know is for the caller, who may have another way.
      if (error.code === 'ERR_CLIENT_VERSION_UNSUPPORTED' || error.code === 'ERR_CLIENT_CLOSED') throw error
      for (const groupId of groupIds) this.#failReach(groupId, { coordinatorId, error })
      // The next round says what is wrong if nobody can be reached.
      await this.#cluster.refreshMetadata().catch(() => undefined)
    }
  }

  /** An answer is waited for a little longer than for what may pass: a second at least. */
  get #timeoutMs(): number {
    return Math.min(this.#cluster.requestTimeoutMs, Math.max(1_000, this.#leftMs))
  }

  #fail(
    groupId: string,
    errorCode: number,
    { coordinatorId = -1, value }: { coordinatorId?: number; value?: T }
  ): void {
    if (isCoordinatorMoved(errorCode)) this.#cluster.forgetCoordinator('group', groupId)
    if (isKafkaErrorRetriable(errorCode) && !this.#isLast) this.#again.push(groupId)
    else {
      const problem = `${this.#question.what} of group ${groupId} was answered ${kafkaErrorName(errorCode)}`
      this.#answers.set(groupId, { groupId, coordinatorId, errorCode, problem, value })
    }
  }

  #failReach(
    groupId: string,
    { coordinatorId, error }: { coordinatorId: number; error: Error & { retriable: boolean } }
  ): void {
    this.#cluster.forgetCoordinator('group', groupId)
    if (error.retriable && !this.#isLast) this.#again.push(groupId)
    else {
      const errorCode = KAFKA.COORDINATOR_NOT_AVAILABLE
      this.#answers.set(groupId, { groupId, coordinatorId, errorCode, problem: error.message, value: undefined })
    }
  }

  async #findCoordinators(): Promise<void> {
    const unknown = this.#open.filter(groupId => this.#cluster.knownCoordinator('group', groupId) === undefined)
    await Promise.all(chunksOf(unknown, keysPerRequestMax).map(groupIds => this.#findSome(groupIds)))
  }

  async #findSome(groupIds: readonly string[]): Promise<void> {
    const { signal } = this.#question
    const patience = { timeoutMs: this.#timeoutMs, ...(signal === undefined ? {} : { signal }) }
    try {
      const connection = await this.#cluster.connectionTo({ to: 'any', ...patience })
      const version = connection.versionOf(findCoordinatorApi)
      if (version < batchedVersion) return await this.#findOneByOne(groupIds)
      const answer = await connection.send(
        findCoordinatorApi,
        { keyType: 0, coordinatorKeys: groupIds },
        { version, ...patience }
      )
      const found = new Map(answer.coordinators.map(each => [each.key, each]))
      for (const groupId of groupIds) {
        const { errorCode = KAFKA.COORDINATOR_NOT_AVAILABLE, nodeId = -1 } = found.get(groupId) ?? {}
        if (errorCode === KAFKA.NONE) this.#cluster.rememberCoordinator('group', groupId, nodeId)
        else this.#fail(groupId, errorCode, {})
      }
    } catch (cause) {
      const error = asPipelineError(cause, 'FindCoordinator')
      for (const groupId of groupIds) this.#failReach(groupId, { coordinatorId: -1, error })
    }
  }

  /** For brokers before Apache Kafka 3.0. `coordinatorOf` takes note of what it finds. */
  async #findOneByOne(groupIds: readonly string[]): Promise<void> {
    const left = [...groupIds]
    const worker = async (): Promise<void> => {
      for (let groupId = left.pop(); groupId !== undefined; groupId = left.pop()) {
        try {
          await this.#cluster.coordinatorOf('group', groupId)
        } catch (cause) {
          const error = asPipelineError(cause, 'FindCoordinator')
          if (error.kafkaCode === undefined) this.#failReach(groupId, { coordinatorId: -1, error })
          else this.#fail(groupId, error.kafkaCode, {})
        }
      }
    }
    await Promise.all(Array.from({ length: singleLookupsMax }, worker))
  }
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = []
  for (let from = 0; from < items.length; from += size) chunks.push(items.slice(from, from + size))
  return chunks
}
