/** Settings of the group coordinator, from Kafka's names. */

import { ASSIGNOR_NAMES, type CoordinatorSettings, MIGRATION_POLICIES } from './groups/index.ts'
import { type BrokerSettings, invalidSettings } from './settings.ts'

const MINUTE_MS = 60_000

/**
 * Reads them.
 *
 * @throws PipelineError `ERR_BROKER_INVALID_SETTING` with every problem.
 */
export function coordinatorSettings(settings: BrokerSettings): CoordinatorSettings {
  const assignors = settings
    .text('group.consumer.assignors')
    .split(',')
    .map(name => name.trim())
  const policy = settings.text('group.consumer.migration.policy').toLowerCase()
  const migrationPolicy = MIGRATION_POLICIES.find(each => each === policy)
  const problems = [...rangeProblems(settings), ...assignorProblems(assignors)]
  if (migrationPolicy === undefined) {
    problems.push(`group.consumer.migration.policy is "${policy}": one of ${MIGRATION_POLICIES.join(', ')} is expected`)
  }
  if (migrationPolicy === undefined || problems.length > 0) throw invalidSettings(problems)
  return {
    initialRebalanceDelayMs: settings.number('group.initial.rebalance.delay.ms'),
    sessionTimeoutMinMs: settings.number('group.min.session.timeout.ms'),
    sessionTimeoutMaxMs: settings.number('group.max.session.timeout.ms'),
    memberCountMax: settings.number('group.max.size'),
    offsetsRetentionMs: settings.number('offsets.retention.minutes') * MINUTE_MS,
    retentionCheckMs: settings.number('offsets.retention.check.interval.ms'),
    migrationPolicy,
    consumer: {
      sessionTimeoutMs: settings.number('group.consumer.session.timeout.ms'),
      heartbeatIntervalMs: settings.number('group.consumer.heartbeat.interval.ms'),
      memberCountMax: settings.number('group.consumer.max.size'),
      assignors,
      assignmentIntervalMs: settings.number('group.consumer.assignment.interval.ms')
    }
  }
}

/** Kafka does not start either with a value outside its own limits. */
function rangeProblems(settings: BrokerSettings): string[] {
  const session = settings.number('group.consumer.session.timeout.ms')
  const heartbeat = settings.number('group.consumer.heartbeat.interval.ms')
  const interval = settings.number('group.consumer.assignment.interval.ms')
  const ranges = [
    [
      'session.timeout.ms',
      session,
      settings.number('group.consumer.min.session.timeout.ms'),
      settings.number('group.consumer.max.session.timeout.ms')
    ],
    [
      'heartbeat.interval.ms',
      heartbeat,
      settings.number('group.consumer.min.heartbeat.interval.ms'),
      settings.number('group.consumer.max.heartbeat.interval.ms')
    ],
    [
      'assignment.interval.ms',
      interval,
      settings.number('group.consumer.min.assignment.interval.ms'),
      settings.number('group.consumer.max.assignment.interval.ms')
    ]
  ] as const
  const problems = ranges.flatMap(([name, value, min, max]) =>
    value >= min && value <= max
      ? []
      : [
          `group.consumer.${name} is ${value}: ${min} (group.consumer.min.${name}) to ${max} (group.consumer.max.${name}) is expected`
        ]
  )
  if (heartbeat >= session) {
    problems.push(
      `group.consumer.heartbeat.interval.ms is ${heartbeat}: less than the session timeout, ${session}, is expected`
    )
  }
  return problems
}

function assignorProblems(names: readonly string[]): string[] {
  const unknown = names.filter(name => !ASSIGNOR_NAMES.includes(name))
  const known = ASSIGNOR_NAMES.join(', ')
  return unknown.map(name => `group.consumer.assignors names "${name}": of ${known} are expected`)
}
