/** Puts the parts of exactly-once delivery together, if the target asks for it. */

import type { DispatcherConfig } from '../config/index.ts'
import type { TopicPartition } from '../client/index.ts'
import { type Clock, invariant, type Random } from '../core/index.ts'
import { isExactlyOnceTarget, type Target } from '../targets/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { ExactlyOnce, type ExactlyOnceSurroundings } from './exactly-once.ts'
import type { KafkaSide, MemberLike } from './kafka-side.ts'
import type { Meters } from './meters.ts'

/** What exactly-once delivery is put together from. */
export interface ExactlyOnceParts {
  readonly config: DispatcherConfig
  readonly target: Target
  readonly kafka: KafkaSide
  readonly member: () => Pick<MemberLike, 'memberId' | 'generation'>
  /** Transactions at once, as of now. */
  readonly concurrency: () => number
  /** What a lane has committed is not known. */
  readonly onUnknown: (lane: object) => void
  readonly meters: Meters
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Exactly-once delivery, or `undefined` if the target delivers at least once. */
export function exactlyOnceOf(parts: ExactlyOnceParts): ExactlyOnceSurroundings | undefined {
  const { config, target, kafka, member, clock, random, logger } = parts
  if (!isExactlyOnceTarget(target)) return undefined
  const { groupId, groupInstanceId } = config
  const settings = config.target.type === 'topic' ? config.target : undefined
  const instance = settings?.transactionalIdPrefix ?? (groupInstanceId && `${groupId}-${groupInstanceId}`)
  const transactions = new ExactlyOnce({
    concurrency: parts.concurrency,
    transactionalIdPrefix: instance ?? `${groupId}-${randomText(random)}`,
    isPrefixStable: instance !== undefined,
    createAppender: transactionalId => {
      const appender = kafka.createTransactionalAppender?.({
        transactionalId,
        transactionTimeoutMs: settings?.transactionTimeoutMs ?? 10_000,
        clock,
        random,
        logger
      })
      invariant(appender !== undefined, 'this cluster has no transactions: exactly once is not possible')
      return appender
    },
    groupMetadata: () => {
      const { memberId, generation } = member()
      return { groupId, memberId, generation, groupInstanceId }
    },
    onUnknown: parts.onUnknown,
    onEnded: outcome => parts.meters.transactionEnded(outcome),
    clock,
    logger
  })
  return { transactions, target, deadLetterTopic: config.deadLetterTopic, tooLarge: config.deadLetters.tooLarge }
}

/** How assignments behave then: nothing is committed beside the transactions, and a lost outcome is asked for. */
export function committedOffsetOf(
  exactlyOnce: ExactlyOnceSurroundings | undefined,
  kafka: KafkaSide,
  groupId: string
): ((at: TopicPartition) => Promise<bigint | undefined>) | undefined {
  if (exactlyOnce === undefined) return undefined
  return async at => {
    invariant(kafka.committedOffset !== undefined, 'this cluster cannot say what a group has committed')
    return await kafka.committedOffset(groupId, at)
  }
}

/** Text that no other instance has. */
function randomText(random: Random): string {
  const part = (): string =>
    Math.floor(random.next() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0')
  return part() + part()
}
