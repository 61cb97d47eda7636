/** Checks of what is in the topics: keys, times, transactions, dead letters. */

import { errorTopics } from '../../../config/index.ts'
import { perCent, seconds } from '../../slo/words.ts'
import type { DoctorFacts, PipelineFact } from '../facts.ts'
import { cannotSay, type DoctorCheck, type Found } from '../finding.ts'

/** A key is hot from this share on; with few partitions from one and a half times the fair share of one. */
const HOT_KEY = 0.2
/** Fewer sampled records say nothing. */
const SAMPLE_MIN = 200

const hotKeys: DoctorCheck = {
  id: 'hot-keys',
  area: 'records',
  sentence: 'Keys that many of the sampled records have (needs --sample).',
  find({ samples, scan }) {
    if (!samples.isKnown) return [cannotSay('No records were sampled', samples.reason)]
    const unread = samples.value.flatMap(({ topic, problem }) =>
      problem === undefined ? [] : [`${topic}: ${problem}`]
    )
    const [first] = unread
    const unknown: Found[] =
      first === undefined ? [] : [{ ...cannotSay('Not all topics could be sampled', first), evidence: unread }]
    const found = samples.value.flatMap(({ topic, records, keys }): Found[] => {
      const partitions = scan.topics.get(topic)?.partitions.length ?? 1
      const hot = keys.filter(({ share }) => share >= Math.max(HOT_KEY, Math.min(0.9, 1.5 / partitions)))
      if (records < SAMPLE_MIN || hot.length === 0 || partitions < 2) return []
      return [
        {
          severity: 'warn',
          title: `${topic} has ${hot.length === 1 ? 'a hot key' : `${hot.length} hot keys`}`,
          reason:
            `All records of a key go to one partition, and to one consumer: of ${partitions} ` +
            'partitions that one has the work.',
          fix: 'Make the key finer, or split what is heavy into a topic of its own: producer.route.split.',
          evidence: hot.map(({ text, share }) => `${text}: ${perCent(share)} of ${records} records`)
        }
      ]
    })
    return [...found, ...unknown]
  }
}

const keylessCompacted: DoctorCheck = {
  id: 'compacted-without-keys',
  area: 'records',
  sentence: 'Compacted topics that get records without a key.',
  find({ samples, topicConfigs, pipeline }) {
    if (!topicConfigs.isKnown) return [cannotSay('Settings of topics are not known', topicConfigs.reason)]
    const isCompacted = (topic: string): boolean =>
      topicConfigs.value.get(topic)?.get('cleanup.policy')?.includes('compact') === true
    const evidence: string[] = []
    for (const { topic, nullKeys, records } of samples.isKnown ? samples.value : []) {
      if (isCompacted(topic) && nullKeys > 0)
        evidence.push(`${topic}: ${nullKeys} of ${records} sampled records have none`)
    }
    for (const topic of deadLetterTopics(pipeline)) {
      if (isCompacted(topic)) evidence.push(`${topic}: dead letters may have no key`)
    }
    if (evidence.length === 0) return []
    return [
      {
        severity: 'error',
        title: 'a compacted topic gets records without a key',
        reason:
          'Compaction keeps the newest record of each key: without one a record cannot be kept, ' +
          'and Kafka refuses it with INVALID_RECORD.',
        fix: 'Give every record a key, or set cleanup.policy=delete.',
        evidence
      }
    ]
  }
}

/** The dead letter topics that the pipeline file names. */
export function deadLetterTopics(pipeline: PipelineFact | undefined): readonly string[] {
  const { producer, dispatcher } = pipeline ?? {}
  const ofDispatcher = dispatcher === undefined ? [] : [dispatcher.deadLetterTopic]
  return [...new Set([...ofDispatcher, ...(producer === undefined ? [] : errorTopics(producer))])]
}

const deadLetters: DoctorCheck = {
  id: 'dead-letters',
  area: 'records',
  sentence: 'Dead letter topics that are not empty, or that grow.',
  find({ scan, later, pipeline }) {
    const named = deadLetterTopics(pipeline)
    const topics = [...scan.topics.values()].filter(
      ({ topic }) => named.includes(topic) || /(?:^|[-_.])(?:dlq|dlt|dead[-_.]?letters?)$/i.test(topic)
    )
    return topics.flatMap(({ topic, partitions }): Found[] => {
      // One that could not be looked at has -1 for offsets.
      const seen = partitions.filter(({ highWatermark, logStartOffset }) => highWatermark >= 0n && logStartOffset >= 0n)
      const kept = seen.reduce((sum, { highWatermark, logStartOffset }) => sum + highWatermark - logStartOffset, 0n)
      if (kept <= 0n) {
        const missing = partitions.length - seen.length
        return missing === 0 ? [] : [cannotSay(`${topic} may have dead letters`, `${missing} partitions do not answer`)]
      }
      const after = later.isKnown ? later.value.topics.get(topic)?.partitions : undefined
      const came = seen.map(({ partition, highWatermark }) => {
        const now = after?.find(each => each.partition === partition)?.highWatermark ?? -1n
        return now > highWatermark ? now - highWatermark : 0n
      })
      const more = came.reduce((sum, each) => sum + each, 0n)
      const isGrowing = more > 0n
      const letters = kept === 1n ? 'dead letter' : 'dead letters'
      return [
        {
          severity: isGrowing ? 'error' : 'warn',
          title: `${topic} has ${kept} ${letters}${isGrowing ? ', and more come in' : ''}`,
          reason: 'Each is a record that was not handled: retention deletes them unread.',
          fix: `Look at their reasons: comporta records --topic ${topic}. Mend the cause, then comporta redrive.`,
          evidence: isGrowing ? [`${more} came in between two looks`] : []
        }
      ]
    })
  }
}

/** Later than this machine's time by less is nothing: clocks of good servers differ by milliseconds. */
const SKEW_WARN_MS = 5_000
const SKEW_ERROR_MS = 3_600_000

const clockSkew: DoctorCheck = {
  id: 'clock-skew',
  area: 'records',
  sentence:
    'Newest records that are dated later than this machine’s clock: a clock is wrong. Clocks ' +
    'that are late are not seen.',
  find({ newest, nowMs, topicConfigs }) {
    if (!newest.isKnown) return [cannotSay('Times of the newest records are not known', newest.reason)]
    const ahead = newest.value
      .map(each => ({ ...each, aheadMs: each.timestampMs - nowMs }))
      .filter(({ aheadMs }) => aheadMs > SKEW_WARN_MS)
      .toSorted((left, right) => right.aheadMs - left.aheadMs)
    const [worst] = ahead
    if (worst === undefined) return []
    const settings = topicConfigs.isKnown ? topicConfigs.value.get(worst.topic) : undefined
    const isBrokers = settings?.get('message.timestamp.type') === 'LogAppendTime'
    return [
      {
        severity: worst.aheadMs >= SKEW_ERROR_MS ? 'error' : 'warn',
        title: `records are dated ${seconds(worst.aheadMs / 1000)} ahead of this machine`,
        reason:
          `${isBrokers ? 'The broker’s clock' : 'A producer’s clock'} runs ahead, or this ` +
          'machine’s is late. Retention by time, lag in seconds and search by time go by these ' +
          'dates.',
        fix:
          'Compare the clocks (chronyc tracking, timedatectl) of this machine, the producers and ' +
          'the brokers. message.timestamp.after.max.ms refuses such records.',
        evidence: ahead.map(
          ({ topic, partition, aheadMs }) => `${topic}-${partition}: ${seconds(aheadMs / 1000)} ahead`
        )
      }
    ]
  }
}

const transactions: DoctorCheck = {
  id: 'hanging-transactions',
  area: 'records',
  sentence: 'Transactions that stay open beyond their time limit and hold back readers of committed records.',
  find({ transactions: open, nowMs, scan }) {
    const held = heldBack(scan)
    if (!open.isKnown) {
      return held.length === 0
        ? [cannotSay('Open transactions are not known', open.reason)]
        : [{ ...cannotSay('Transactions are open, whose is not known', open.reason), evidence: held }]
    }
    const hanging = open.value.filter(({ startMs, timeoutMs }) => startMs > 0 && nowMs - startMs > timeoutMs + 60_000)
    if (hanging.length === 0) return []
    return [
      {
        severity: 'error',
        title: `${hanging.length} transactions are open beyond their limit`,
        reason:
          'The coordinator should have aborted them. Until somebody does, readers of committed ' +
          'records see nothing behind them, and compaction stops.',
        fix:
          'kafka-transactions.sh find-hanging, then abort. Brokers before 3.6 leave such ' +
          'transactions behind (KIP-890).',
        evidence: [
          ...hanging.map(
            ({ transactionalId, state, startMs, topics }) =>
              `${transactionalId}: ${state} for ${seconds((nowMs - startMs) / 1000)}, ${topics.join(', ')}`
          ),
          ...held
        ]
      }
    ]
  }
}

function heldBack({ topics }: DoctorFacts['scan']): string[] {
  return [...topics.values()].flatMap(({ topic, partitions }) =>
    partitions
      .filter(({ lastStableOffset, highWatermark }) => lastStableOffset >= 0n && lastStableOffset < highWatermark)
      .map(
        ({ partition, lastStableOffset, highWatermark }) =>
          `${topic}-${partition}: ${highWatermark - lastStableOffset} records behind the last stable offset`
      )
  )
}

/** All checks of records. */
export const recordChecks: readonly DoctorCheck[] = [hotKeys, keylessCompacted, deadLetters, clockSkew, transactions]
