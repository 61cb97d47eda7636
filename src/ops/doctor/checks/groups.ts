/** Checks of consumer groups. */

import { partitionKeyOf } from '../../../client/index.ts'
import type { ScannedGroup } from '../../scan/scan-types.ts'
import { seconds } from '../../slo/words.ts'
import { type CommitWatch, type DoctorFacts, partitionAt } from '../facts.ts'
import { cannotSay, type DoctorCheck, type Found } from '../finding.ts'

/**
 * A part at the end of a name that tells instances of one application apart: a UUID, hexadecimal digits, an address,
 * the name of a machine or a pod, a number. One part at a time, without repetition inside: names are other people's.
 */
const suffix = new RegExp(
  '(?:^|[-_.:])(?:' +
    [
      '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
      '[0-9a-f]{8,64}',
      'i-[0-9a-f]{8,17}',
      'ip-\\d{1,3}-\\d{1,3}-\\d{1,3}-\\d{1,3}',
      '\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}',
      '(?:pod|host|node|instance|worker|replica|server|vm)[a-z0-9]{0,20}',
      '[a-z0-9]{8,10}-[a-z0-9]{5}',
      '\\d{1,6}'
    ].join('|') +
    ')$',
  'i'
)
/** Parts that are taken off: `-pod-1` is two. */
const PARTS_MAX = 4

/** A name without what tells instances apart; the name itself if there is nothing such. */
export function applicationOf(groupId: string): string {
  let name = groupId
  for (let part = 0; part < PARTS_MAX; part += 1) name = name.replace(suffix, '')
  return name
}

function topicsOf({ offsets, members = [] }: ScannedGroup): string[] {
  const read = members.flatMap(({ assignment, subscription = [] }) => [
    ...assignment.map(({ topic }) => topic),
    ...subscription
  ])
  return [...new Set([...offsets.map(({ topic }) => topic), ...read])].toSorted()
}

const groupPerInstance: DoctorCheck = {
  id: 'group-per-instance',
  area: 'groups',
  sentence:
    'Several groups that read the same topics, one member each, their names apart by a host, a number or a UUID.',
  find({ scan }) {
    const families = new Map<string, ScannedGroup[]>()
    for (const group of scan.groups) {
      const topics = topicsOf(group)
      if (topics.length === 0 || (group.members?.length ?? 0) > 1) continue
      const application = applicationOf(group.groupId)
      if (application === group.groupId && application !== '') continue
      const key = `${application} ${topics.join(' ')}`
      families.set(key, [...(families.get(key) ?? []), group])
    }
    return [...families.values()].flatMap((groups): Found[] => {
      if (groups.length < 2) return []
      const live = groups.filter(({ members = [] }) => members.length === 1).length
      const [first] = groups
      const name = first === undefined ? '' : applicationOf(first.groupId)
      return [
        {
          severity: live >= 2 ? 'error' : 'warn',
          title: `${groups.length} groups look like instances of one application, ${name}`,
          reason:
            'Groups do not share work: each reads every record of ' +
            `${first === undefined ? '' : topicsOf(first).join(', ')}, so that each event is handled ` +
            `${groups.length} times, and paid for as often.`,
          fix:
            `Give all instances the same group id, ${name}, and delete the others: comporta groups ` +
            'delete. Offsets can be taken over: comporta offsets copy.',
          evidence: groups.map(({ groupId, state, members = [] }) => `${groupId}: ${state}, ${members.length} members`)
        }
      ]
    })
  }
}

const membersWithoutWork: DoctorCheck = {
  id: 'idle-members',
  area: 'groups',
  sentence: 'Groups with more members than partitions, or members that own nothing.',
  find({ scan, metadata }) {
    return scan.groups.flatMap((group): Found[] => {
      const { groupId, members = [], state, protocolType } = group
      if (protocolType !== 'consumer' || state !== 'Stable' || members.length === 0) return []
      const topics = topicsOf(group)
      const partitions = metadata.topics
        .filter(({ topic }) => topics.includes(topic))
        .reduce((sum, each) => sum + each.partitions.length, 0)
      const idle = members.filter(({ assignment }) => assignment.length === 0)
      if (idle.length === 0) return []
      const evidence = idle.map(({ clientId, clientHost }) => `${clientId} at ${clientHost} owns nothing`)
      if (members.length > partitions) {
        return [
          {
            severity: 'warn',
            title: `${groupId} has ${members.length} members for ${partitions} partitions`,
            reason: 'A partition has one reader: the others wait, cost money, and lengthen every rebalance.',
            fix: `Run ${partitions} instances at most, or grow the topics: comporta partitions plan.`,
            evidence
          }
        ]
      }
      return [
        {
          severity: 'warn',
          title: `${idle.length} of ${members.length} members of ${groupId} own nothing`,
          reason: 'There are partitions enough: the members want different topics, or the assignor spreads badly.',
          fix: 'Let all instances subscribe to the same topics, and use the assignor cooperative-sticky.',
          evidence
        }
      ]
    })
  }
}

const deadWithLag: DoctorCheck = {
  id: 'group-without-members',
  area: 'groups',
  sentence: 'Groups without members that have something to read.',
  find({ scan }) {
    return scan.groups.flatMap((group): Found[] => {
      if (group.state !== 'Empty' && group.state !== 'Dead') return []
      const lag = lagOf(group, scan.topics)
      if (lag <= 0n) return []
      return [
        {
          severity: 'warn',
          title: `${group.groupId} has ${lag} unread records, and no members`,
          reason: 'Nobody reads them; retention deletes them in the end, and the offsets of the group after them.',
          fix: `Start its consumers, or, if it is not needed any more, comporta groups delete ${group.groupId}.`
        }
      ]
    })
  }
}

function lagOf({ offsets }: ScannedGroup, topics: DoctorFacts['scan']['topics']): bigint {
  return offsets.reduce((sum, { topic, partition, committed }) => {
    const ends = partitionAt(topics.get(topic), partition)
    if (ends === undefined || ends.highWatermark < 0n) return sum
    const from = committed < ends.logStartOffset ? ends.logStartOffset : committed
    return ends.highWatermark > from ? sum + ends.highWatermark - from : sum
  }, 0n)
}

const dataLoss: DoctorCheck = {
  id: 'data-loss',
  area: 'groups',
  sentence: 'Committed offsets below the start of the log: records were deleted before they were read.',
  find({ scan }) {
    return scan.groups.flatMap(({ groupId, offsets }): Found[] => {
      const lost = offsets.flatMap(({ topic, partition, committed }) => {
        const ends = partitionAt(scan.topics.get(topic), partition)
        return ends !== undefined && committed < ends.logStartOffset
          ? [{ name: `${topic}-${partition}`, committed, start: ends.logStartOffset }]
          : []
      })
      if (lost.length === 0) return []
      const total = lost.reduce((sum, { start, committed }) => sum + start - committed, 0n)
      return [
        {
          severity: 'error',
          title: `${groupId} never read ${total} records that are deleted`,
          reason:
            'Retention, or somebody with deleteRecords, was faster than the group. They cannot be had back from here.',
          fix:
            'Raise retention.ms and retention.bytes above the longest outage, then find out why the ' +
            'group is behind: comporta lag.',
          evidence: lost.map(({ name, committed, start }) => `${name}: committed ${committed}, log starts at ${start}`)
        }
      ]
    })
  }
}

const aheadOfLog: DoctorCheck = {
  id: 'offset-ahead-of-log',
  area: 'groups',
  sentence: 'Committed offsets above the end of the log: the topic was made anew, or a leader lost records.',
  find({ scan }) {
    return scan.groups.flatMap(({ groupId, offsets }): Found[] => {
      const ahead = offsets.flatMap(({ topic, partition, committed }) => {
        const ends = partitionAt(scan.topics.get(topic), partition)
        const isAhead = ends !== undefined && ends.highWatermark >= 0n && committed > ends.highWatermark
        return isAhead ? [`${topic}-${partition}: committed ${committed}, log ends at ${ends.highWatermark}`] : []
      })
      if (ahead.length === 0) return []
      return [
        {
          severity: 'error',
          title: `${groupId} has committed what is not there`,
          reason:
            'The topic was deleted and made anew, or a replica behind the others became leader. ' +
            'Consumers begin where auto.offset.reset says, and skip or repeat records.',
          fix: `Stop the group and set its offsets: comporta offsets reset --group ${groupId} --to-earliest.`,
          evidence: ahead
        }
      ]
    })
  }
}

/** Kafka's `auto.commit.interval.ms`. */
const AUTO_COMMIT_MS = 5000
const AUTO_COMMIT_TOLERANCE_MS = 750

/** Whether commits come in the rhythm of auto-commit: at least three, each about five seconds after the one before. */
export function looksAutomatic({ changesMs }: CommitWatch): boolean {
  if (changesMs.length < 3) return false
  return changesMs.slice(1).every((time, index) => {
    const gap = time - (changesMs[index] ?? time)
    return Math.abs(gap - AUTO_COMMIT_MS) <= AUTO_COMMIT_TOLERANCE_MS
  })
}

const autoCommit: DoctorCheck = {
  id: 'auto-commit',
  area: 'groups',
  sentence: 'Groups that commit every five seconds and nothing beside: auto-commit is suspected (needs --sample).',
  find({ commits, scan }) {
    if (!commits.isKnown) return [cannotSay('Commits were not watched', commits.reason)]
    return commits.value.filter(looksAutomatic).flatMap((watch): Found[] => {
      const group = scan.groups.find(({ groupId }) => groupId === watch.groupId)
      if (group === undefined || group.offsets.some(({ metadata }) => metadata !== '')) return []
      return [
        {
          severity: 'warn',
          title: `${watch.groupId} seems to use auto-commit (suspected)`,
          reason:
            'Its offsets move every five seconds, with empty metadata. Auto-commit moves offsets ' +
            'past records that may not have been handled: a crash loses them.',
          fix: 'Set enable.auto.commit=false and commit after the work is done, as comporta dispatch does.',
          evidence: [
            `commits seen ${watch.changesMs.map(time => seconds(time / 1000)).join(', ')} after the watch began`
          ]
        }
      ]
    })
  }
}

const unreadable: DoctorCheck = {
  id: 'unreadable-groups',
  area: 'groups',
  sentence: 'Groups whose offsets or members may not be read.',
  find({ scan }) {
    const hidden = scan.groups.filter(({ problem }) => problem !== undefined)
    if (hidden.length === 0) return []
    return [
      {
        severity: 'unknown',
        title: `${hidden.length} groups cannot be read`,
        reason: 'Their lag is not known, and no other check looks at them.',
        fix: 'Allow DESCRIBE on the groups to the user that looks.',
        evidence: hidden.map(({ groupId, problem }) => `${groupId}: ${problem ?? ''}`)
      }
    ]
  }
}

const unread: DoctorCheck = {
  id: 'unassigned-partitions',
  area: 'groups',
  sentence: 'Partitions that nobody of a group with members owns.',
  find({ scan, metadata }) {
    return scan.groups.flatMap((group): Found[] => {
      const { members, state, groupId, protocolType } = group
      if (members === undefined || members.length === 0 || state !== 'Stable' || protocolType !== 'consumer') return []
      // Connect and others assign no partitions: then nothing is said.
      const owned = new Set(members.flatMap(({ assignment }) => assignment.map(partitionKeyOf)))
      const wanted = new Set(members.flatMap(({ subscription = [] }) => subscription))
      const alone = metadata.topics
        .filter(({ topic }) => wanted.has(topic))
        .flatMap(({ topic, partitions }) => partitions.map(({ partition }) => ({ topic, partition })))
        .filter(each => !owned.has(partitionKeyOf(each)))
      if (alone.length === 0 || owned.size === 0) return []
      return [
        {
          severity: 'error',
          title: `${alone.length} partitions that ${groupId} wants are owned by nobody`,
          reason: 'Their records wait for ever: members have not noticed new partitions, or an assignor left them out.',
          fix: 'Wait for metadata.max.age.ms; then restart one member, which makes the group assign anew.',
          evidence: alone.map(({ topic, partition }) => `${topic}-${partition}`)
        }
      ]
    })
  }
}

const headroom: DoctorCheck = {
  id: 'retention-headroom',
  area: 'groups',
  sentence: 'Unread records that retention deletes within a day.',
  find({ lag }) {
    if (!lag.isKnown) return [cannotSay('The age of unread records is not known', lag.reason)]
    return lag.value.groups.flatMap(({ groupId, headroomSeconds, partitions }): Found[] => {
      if (headroomSeconds === undefined || headroomSeconds >= 86_400) return []
      const near = partitions.filter(each => each.headroomSeconds !== undefined && each.headroomSeconds < 86_400)
      return [
        {
          severity: headroomSeconds < 6 * 3600 ? 'error' : 'warn',
          title: `retention deletes unread records of ${groupId} in ${seconds(headroomSeconds)}`,
          reason: 'The oldest unread record is almost as old, or lies almost as deep, as retention allows.',
          fix: 'Raise retention.ms or retention.bytes of the topics now; it works at once. Then see to the lag.',
          evidence: near.map(
            each =>
              `${each.topic}-${each.partition}: ${each.lagRecords} unread, ${seconds(each.headroomSeconds ?? 0)} left`
          )
        }
      ]
    })
  }
}

/** All checks of groups. */
export const groupChecks: readonly DoctorCheck[] = [
  groupPerInstance,
  membersWithoutWork,
  unread,
  deadWithLag,
  dataLoss,
  aheadOfLog,
  headroom,
  autoCommit,
  unreadable
]
