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
  const problems: string[] = []
  for (const name of ['assignment.interval.ms', 'heartbeat.interval.ms', 'session.timeout.ms'] as const) {
    const value = settings.number(`group.consumer.${name}`)
    const min = settings.number(`group.consumer.min.${name}`)
    const max = settings.number(`group.consumer.max.${name}`)
    if (value >= min && value <= max) continue
    const limits = `group.consumer.min.${name} and group.consumer.max.${name} say ${min} to ${max}`
    problems.push(`group.consumer.${name} is ${value}: ${limits}`)
  }
  const sessionMs = settings.number('group.consumer.session.timeout.ms')
  const heartbeatMs = settings.number('group.consumer.heartbeat.interval.ms')
  if (heartbeatMs >= sessionMs) {
    const limit = `less than group.consumer.session.timeout.ms, ${sessionMs}, is expected`
    problems.push(`group.consumer.heartbeat.interval.ms is ${heartbeatMs}: ${limit}`)
  }
  return problems
}

function assignorProblems(names: readonly string[]): string[] {
  const unknown = names.filter(name => !ASSIGNOR_NAMES.includes(name))
  const known = ASSIGNOR_NAMES.join(', ')
  return unknown.map(name => `group.consumer.assignors names "${name}": of ${known} are expected`)
}
