/** Checks of the pipeline file against the cluster that it is for. */

import { writtenTopics } from '../../../config/index.ts'
import type { DoctorFacts, PipelineFact, Settings } from '../facts.ts'
import { cannotSay, type DoctorCheck, type Found } from '../finding.ts'

const loopback = /^(?:localhost|127\.|\[::1\])/

const timeouts: DoctorCheck = {
  id: 'timeouts',
  area: 'settings',
  sentence: 'Time limits of the pipeline file that contradict each other or AWS’s rules for clients.',
  find({ pipeline, profile }) {
    if (pipeline === undefined) return []
    const isMsk = profile.isKnown && profile.value.profile !== 'self'
    return [...dispatcherTimeouts(pipeline, isMsk), ...producerTimeouts(pipeline)]
  }
}

function dispatcherTimeouts({ dispatcher }: PipelineFact, isMsk: boolean): Found[] {
  if (dispatcher === undefined) return []
  const { sessionTimeoutMs, heartbeatIntervalMs, rebalanceTimeoutMs, batch, target } = dispatcher
  const found: Found[] = []
  if (heartbeatIntervalMs * 3 > sessionTimeoutMs) {
    found.push({
      severity: 'error',
      title: 'heartbeats are too rare for the session',
      reason: 'Two that are late in a row, and the member is put out: a rebalance for nothing.',
      fix: 'dispatcher.heartbeatIntervalMs at most a third of dispatcher.sessionTimeoutMs.',
      evidence: [`heartbeatIntervalMs ${heartbeatIntervalMs}, sessionTimeoutMs ${sessionTimeoutMs}`]
    })
  }
  const targetMs = 'timeoutMs' in target ? target.timeoutMs : 0
  if (batch.ageMs + targetMs >= rebalanceTimeoutMs) {
    found.push({
      severity: 'error',
      title: 'a batch may take longer than a rebalance waits',
      reason:
        'A member that still waits for its target when the rebalance ends is put out, and its batch is sent twice.',
      fix: 'dispatcher.rebalanceTimeoutMs above dispatcher.batch.ageMs and dispatcher.target.timeoutMs together.',
      evidence: [`batch.ageMs ${batch.ageMs} + target.timeoutMs ${targetMs} ≥ rebalanceTimeoutMs ${rebalanceTimeoutMs}`]
    })
  }
  if (isMsk && (sessionTimeoutMs < 45_000 || sessionTimeoutMs > 60_000)) {
    found.push({
      severity: 'info',
      title: 'the session timeout is not AWS’s for MSK',
      reason:
        'MSK restarts brokers for maintenance: coordinators move within seconds, and members should outlast that.',
      fix: 'dispatcher.sessionTimeoutMs between 45,000 and 60,000. Source: Amazon MSK, best practices for clients.',
      evidence: [`sessionTimeoutMs ${sessionTimeoutMs}`]
    })
  }
  return found
}

function producerTimeouts({ producer, kafka }: PipelineFact): Found[] {
  if (producer === undefined) return []
  const { timeoutMs, lingerMs } = producer.delivery
  const linger = lingerMs === 'adaptive' ? 5 : lingerMs
  const found: Found[] = []
  if (timeoutMs < linger + kafka.requestTimeoutMs) {
    found.push({
      severity: 'error',
      title: 'a delivery ends before one request may',
      reason: 'Records are given up while their first request is still under way: there is no retry at all.',
      fix: 'producer.delivery.timeoutMs at least producer.delivery.lingerMs + kafka.requestTimeoutMs.',
      evidence: [`delivery.timeoutMs ${timeoutMs} < lingerMs ${linger} + requestTimeoutMs ${kafka.requestTimeoutMs}`]
    })
  } else if (timeoutMs < 120_000) {
    found.push({
      severity: 'warn',
      title: 'deliveries are given up within two minutes',
      reason: 'Brokers that restart one after the other take about as long for each.',
      fix: 'producer.delivery.timeoutMs 120,000 or more. Source: Amazon MSK, best practices for clients.',
      evidence: [`delivery.timeoutMs ${timeoutMs}`]
    })
  }
  return found
}

function topicsOf({ producer, dispatcher }: PipelineFact): string[] {
  return [...new Set([...(producer === undefined ? [] : writtenTopics(producer)), ...(dispatcher?.topics ?? [])])]
}

function numberOf(settings: Settings | undefined, name: string): number | undefined {
  const value = Number(settings?.get(name) ?? Number.NaN)
  return Number.isNaN(value) ? undefined : value
}

const messageSize: DoctorCheck = {
  id: 'message-size',
  area: 'settings',
  sentence: 'max.message.bytes of topics below what the producer sends, or above what dispatcher and followers take.',
  find(facts) {
    const { pipeline, topicConfigs, brokerConfigs } = facts
    if (!topicConfigs.isKnown) return [cannotSay('Settings of topics are not known', topicConfigs.reason)]
    const found: Found[] = []
    const fetchMax = Math.min(
      ...(brokerConfigs.isKnown ? [...brokerConfigs.value.values()] : []).map(
        settings => numberOf(settings, 'replica.fetch.max.bytes') ?? Number.POSITIVE_INFINITY
      ),
      Number.POSITIVE_INFINITY
    )
    const small: string[] = []
    const large: string[] = []
    const slow: string[] = []
    for (const topic of pipeline === undefined ? topicConfigs.value.keys() : topicsOf(pipeline)) {
      const most = numberOf(topicConfigs.value.get(topic), 'max.message.bytes')
      if (most === undefined) continue
      const { producer, dispatcher } = pipeline ?? {}
      if (producer !== undefined && producer.delivery.batchBytes > most && writtenTopics(producer).includes(topic)) {
        small.push(`${topic}: max.message.bytes ${most}, producer.delivery.batchBytes ${producer.delivery.batchBytes}`)
      }
      if (dispatcher?.topics.includes(topic) === true && most > dispatcher.batch.bytesMax) {
        large.push(`${topic}: max.message.bytes ${most}, dispatcher.batch.bytesMax ${dispatcher.batch.bytesMax}`)
      }
      if (most > fetchMax) slow.push(`${topic}: max.message.bytes ${most}, replica.fetch.max.bytes ${fetchMax}`)
    }
    if (small.length > 0) {
      found.push({
        severity: 'warn',
        title: 'batches of the producer may be too large for a topic',
        reason: 'The broker refuses them with MESSAGE_TOO_LARGE; the producer then splits and sends again.',
        fix: 'producer.delivery.batchBytes at most the topic’s max.message.bytes.',
        evidence: small
      })
    }
    if (large.length > 0) {
      found.push({
        severity: 'info',
        title: 'a topic takes records that are too large for the target',
        reason: 'A record above dispatcher.batch.bytesMax cannot be sent: it becomes a dead letter.',
        fix: 'Lower the topic’s max.message.bytes, so that the producer hears of it first.',
        evidence: large
      })
    }
    if (slow.length > 0) {
      found.push({
        severity: 'info',
        title: 'followers fetch less than one record may have',
        reason: 'They still get it, alone in an answer: replication slows down with such records.',
        fix: 'replica.fetch.max.bytes of the brokers at least the largest max.message.bytes.',
        evidence: slow
      })
    }
    return found
  }
}

const plainText: DoctorCheck = {
  id: 'plain-text',
  area: 'settings',
  sentence: 'Connections to other machines without TLS.',
  find({ pipeline, bootstrapServers }) {
    const tls = pipeline?.kafka.tls
    const isClear = pipeline !== undefined && (tls === undefined || tls === false)
    const others = bootstrapServers.filter(address => !loopback.test(address))
    if (!isClear || others.length === 0) return []
    return [
      {
        severity: 'warn',
        title: 'records and passwords cross the network in clear',
        reason: 'Whoever is on the way reads and changes them.',
        fix: 'kafka.tls, and the brokers’ TLS port (MSK: 9094, 9096 or 9098).',
        evidence: others
      }
    ]
  }
}

const drift: DoctorCheck = {
  id: 'topic-drift',
  area: 'settings',
  sentence:
    'Topics of the pipeline file that are missing in the cluster, or have another number of ' +
    'partitions or other settings.',
  find({ pipeline, metadata, topicConfigs }: DoctorFacts) {
    if (pipeline === undefined) return []
    const there = new Map(metadata.topics.map(each => [each.topic, each]))
    const missing = topicsOf(pipeline).filter(topic => !there.has(topic) && !Object.hasOwn(pipeline.topics, topic))
    const found: Found[] = []
    if (missing.length > 0) {
      found.push({
        severity: 'error',
        title: `${missing.length} topics that the pipeline uses are not there`,
        reason: 'Producers are refused, consumers wait; or the broker makes them by itself, with one partition.',
        fix: 'Write them under topics: and run comporta up, or create them: comporta topics create.',
        evidence: missing
      })
    }
    const differences = Object.entries(pipeline.topics).flatMap(([topic, wanted]) => {
      const actual = there.get(topic)
      if (actual === undefined) return [`${topic}: is not there`]
      const settings = topicConfigs.isKnown ? topicConfigs.value.get(topic) : undefined
      return [
        ...(actual.partitions.length === wanted.partitions
          ? []
          : [`${topic}: ${actual.partitions.length} partitions, the file says ${wanted.partitions}`]),
        ...Object.entries(wanted.config ?? {}).flatMap(([name, value]) => {
          const is = settings?.get(name)
          return is === undefined || is === String(value)
            ? []
            : [`${topic}: ${name}=${is}, the file says ${String(value)}`]
        })
      ]
    })
    if (differences.length > 0) {
      found.push({
        severity: 'info',
        title: 'topics are not as the pipeline file says',
        reason: 'comporta up creates topics, and never changes them: the file may say what is not so.',
        fix: 'Correct the file, or the topic: comporta topics alter, comporta partitions grow.',
        evidence: differences
      })
    }
    return found
  }
}

/** All checks of settings. */
export const settingChecks: readonly DoctorCheck[] = [timeouts, messageSize, plainText, drift]
