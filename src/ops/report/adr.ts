/** An architecture decision record of the pipeline as it is configured, with what was measured of it. */

import { type Block, heading, list, paragraph } from './blocks.ts'
import type { ReportFacts } from './report-facts.ts'
import { counted } from '../words/counted.ts'

/** Writes the record; without a pipeline file there is no decision to record. */
export function adrBlocks({ pipeline, scan, looks, cost, writtenAtMs }: ReportFacts): Block[] {
  if (pipeline === undefined) return []
  const { producer, dispatcher } = pipeline
  const day = new Date(writtenAtMs).toISOString().slice(0, 10)
  const group = looks.at(-1)?.groups.find(({ groupId }) => groupId === dispatcher?.groupId)
  const load = group?.arrivalRate
  return [
    heading(2, `Decision record: ${pipeline.name}`),
    paragraph(`Status: in use on ${day}. Written from the pipeline file and from what was measured.`),
    heading(3, 'Context'),
    list(
      [
        load === undefined ? '' : `${Math.round(load).toLocaleString('en-US')} records/s were measured.`,
        scan === undefined
          ? ''
          : `The cluster has ${counted(scan.brokers.length, 'broker')} and ` +
            `${counted(scan.topics.size, 'topic')} in view.`,
        cost === undefined
          ? ''
          : `It costs about ${Math.round(cost.report.monthly).toLocaleString('en-US')} USD a month.`,
        'At least once: a record may come twice after a crash, and is never lost.'
      ].filter(Boolean)
    ),
    heading(3, 'Decision'),
    list([...producerDecisions(producer), ...dispatcherDecisions(dispatcher)]),
    heading(3, 'Consequences'),
    list(consequences(pipeline.dispatcher))
  ]
}

type Sections = NonNullable<ReportFacts['pipeline']>

function producerDecisions(producer: Sections['producer']): string[] {
  if (producer === undefined) return []
  const { rate, deadLetterTopic } = producer
  return [
    'Topics are domains, not codes; a record’s topic follows from its content.',
    'The producer names a key and never a partition: keys land where Kafka’s Java client puts them.',
    rate?.recordsPerSecond === undefined
      ? 'The rate is not limited.'
      : `The rate is limited to ${rate.recordsPerSecond.toLocaleString('en-US')} records/s, before Kafka.`,
    deadLetterTopic === undefined ? '' : `What cannot be read goes to ${deadLetterTopic}, with its reason.`
  ].filter(Boolean)
}

function dispatcherDecisions(dispatcher: Sections['dispatcher']): string[] {
  if (dispatcher === undefined) return []
  const { batch, order, groupId, concurrency, target, retry, topics } = dispatcher
  return [
    `One group, ${groupId}, for all instances; it reads ${topics.join(', ')}.`,
    `Batches of one partition, closed by ${batch.recordsMax} records or ${batch.ageMs} ms, whichever is first.`,
    `A ${target.type} target is called with up to ${concurrency} batches at once; order is kept by ${order}.`,
    'Offsets move only after the target said yes, or a record is safe in the dead letter topic.',
    `A record that is refused is tried ${retry.attemptsMax} times.`
  ]
}

function consequences(dispatcher: Sections['dispatcher']): string[] {
  const order =
    dispatcher?.order === 'none'
      ? 'Order is given up for parallel work.'
      : 'More partitions move keys: order across that change needs `comporta partitions migrate`.'
  const isEager =
    dispatcher?.groupProtocol === 'classic' && dispatcher.assignors.every(name => name !== 'cooperative-sticky')
  return [
    'When the target is slow, lag grows and nothing else happens: lag in seconds is what is watched.',
    isEager
      ? 'A rebalance pauses all partitions of the group: its assignors are eager.'
      : 'A rebalance pauses the partitions that move, and only those.',
    order,
    'Services behind the target see a record again after a crash: they need a key to tell it by.'
  ]
}
