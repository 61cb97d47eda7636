/**
 * Settings of the broker: Kafka's names, defaults and limits.
 *
 * The table below holds what the server, the handlers and the groups obey;
 * settings that give topic defaults (`log.*`, `message.max.bytes`, …) are in the
 * log's own table. Differences from Kafka's defaults are said at the entry.
 */

import { PipelineError } from '../core/index.ts'

/** One broker setting. */
export interface BrokerSettingEntry {
  readonly type: 'boolean' | 'int' | 'long' | 'string'
  /** Default as text. */
  readonly default: string
  readonly min?: number
  /** Why it exists, in one sentence. */
  readonly doc: string
}

/** Settings by name. */
export const BROKER_SETTINGS = {
  'add.partitions.to.txn.retry.backoff.max.ms': {
    type: 'int',
    default: '100',
    min: 0,
    doc: 'How long a produce request waits while its transaction is being changed, in milliseconds.'
  },
  'allow.everyone.if.no.acl.found': {
    type: 'boolean',
    default: 'false',
    doc: 'Whether the authorizer allows what no ACL of the resource is about.'
  },
  'authorizer.class.name': {
    type: 'string',
    default: '',
    doc: "Kafka's StandardAuthorizer, the only one there is, lets ACLs decide; empty lets everybody do everything."
  },
  'auto.create.topics.enable': {
    type: 'boolean',
    default: 'true',
    doc: 'Whether a topic is created when a client asks for the metadata of one that does not exist.'
  },
  'connection.failed.authentication.delay.ms': {
    type: 'int',
    default: '100',
    min: 0,
    doc: 'How long the answer to a failed authentication, and the end of its connection, is held back, in milliseconds.'
  },
  'connections.max.idle.ms': {
    type: 'long',
    default: '600000',
    min: 1,
    doc: 'Connections that are silent for so long are closed, in milliseconds.'
  },
  'connections.max.reauth.ms': {
    type: 'long',
    default: '0',
    min: 0,
    doc: 'After how long a SASL client must authenticate again, in milliseconds; 0 means never.'
  },
  'controller.quota.window.num': {
    type: 'int',
    default: '11',
    min: 1,
    doc: 'How many windows of changes of topics count for their quota.'
  },
  'controller.quota.window.size.seconds': {
    type: 'int',
    default: '1',
    min: 1,
    doc: 'How long each window of changes of topics is, in seconds.'
  },
  'delete.topic.enable': { type: 'boolean', default: 'true', doc: 'Whether topics can be deleted.' },
  'fetch.max.bytes': {
    type: 'int',
    default: '57671680',
    min: 1024,
    doc: 'Largest answer to a fetch, in bytes, whatever the client asks for.'
  },
  'group.consumer.assignment.interval.ms': {
    type: 'int',
    // Kafka's default is 1000, to spare a coordinator of thousands of groups. Here nothing is spared by it, and
    // a member that comes within that second would wait for its partitions until its next heartbeat.
    default: '0',
    min: 0,
    doc: 'Shortest time between two assignments of a consumer group, in milliseconds.'
  },
  'group.consumer.assignors': {
    type: 'string',
    default: 'uniform,range',
    doc: 'Assignors of consumer groups that members may ask for; the first one serves those who ask for none.'
  },
  'group.consumer.heartbeat.interval.ms': {
    type: 'int',
    default: '5000',
    min: 1,
    doc: 'How often members of consumer groups send heartbeats, in milliseconds.'
  },
  'group.consumer.max.assignment.interval.ms': {
    type: 'int',
    default: '15000',
    min: 0,
    doc: 'Highest value of group.consumer.assignment.interval.ms.'
  },
  'group.consumer.max.heartbeat.interval.ms': {
    type: 'int',
    default: '15000',
    min: 1,
    doc: 'Highest value of group.consumer.heartbeat.interval.ms.'
  },
  'group.consumer.max.session.timeout.ms': {
    type: 'int',
    default: '60000',
    min: 1,
    doc: 'Highest value of group.consumer.session.timeout.ms.'
  },
  'group.consumer.max.size': {
    type: 'int',
    default: '2147483647',
    min: 1,
    doc: 'Most members of a consumer group (KIP-848).'
  },
  'group.consumer.migration.policy': {
    type: 'string',
    default: 'bidirectional',
    doc: 'Which running groups may change their protocol: bidirectional, upgrade, downgrade or disabled.'
  },
  'group.consumer.min.assignment.interval.ms': {
    type: 'int',
    default: '0',
    min: 0,
    doc: 'Lowest value of group.consumer.assignment.interval.ms.'
  },
  'group.consumer.min.heartbeat.interval.ms': {
    type: 'int',
    default: '5000',
    min: 1,
    doc: 'Lowest value of group.consumer.heartbeat.interval.ms.'
  },
  'group.consumer.min.session.timeout.ms': {
    type: 'int',
    default: '45000',
    min: 1,
    doc: 'Lowest value of group.consumer.session.timeout.ms.'
  },
  'group.consumer.session.timeout.ms': {
    type: 'int',
    default: '45000',
    min: 1,
    doc: 'Longest silence of a member of a consumer group before it is removed, in milliseconds.'
  },
  'group.initial.rebalance.delay.ms': {
    type: 'int',
    default: '3000',
    min: 0,
    doc: 'How long the first rebalance of an empty group waits for more members, in milliseconds.'
  },
  'group.max.session.timeout.ms': {
    type: 'int',
    default: '1800000',
    min: 1,
    doc: 'Longest session timeout that a member may ask for, in milliseconds.'
  },
  'group.max.size': { type: 'int', default: '2147483647', min: 1, doc: 'Most members of a group.' },
  'group.min.session.timeout.ms': {
    type: 'int',
    default: '6000',
    min: 1,
    doc: 'Shortest session timeout that a member may ask for, in milliseconds.'
  },
  'max.connection.creation.rate': {
    type: 'int',
    default: '2147483647',
    min: 1,
    doc: 'Most new connections per second; those above it wait.'
  },
  'log.cleaner.backoff.ms': {
    type: 'long',
    default: '15000',
    min: 0,
    doc: 'How often compaction looks for work when there was none, in milliseconds.'
  },
  'log.cleaner.dedupe.buffer.size': {
    type: 'long',
    default: '134217728',
    min: 1048576,
    doc: 'Most memory for the keys of one compaction, in bytes; with more keys it makes several passes.'
  },
  'log.cleaner.enable': { type: 'boolean', default: 'true', doc: 'Whether compacted topics are compacted.' },
  'log.cleaner.io.buffer.size': {
    type: 'int',
    default: '524288',
    min: 0,
    doc: 'Bytes that compaction reads at a time.'
  },
  'log.retention.check.interval.ms': {
    type: 'long',
    default: '300000',
    min: 1,
    doc: 'How often old segments are looked for, in milliseconds.'
  },
  'max.connections': { type: 'int', default: '2147483647', min: 0, doc: 'Most connections at a time.' },
  'max.connections.per.ip': {
    type: 'int',
    default: '2147483647',
    min: 0,
    doc: 'Most connections at a time from one address.'
  },
  'max.connections.per.ip.overrides': {
    type: 'string',
    default: '',
    doc: 'Other limits for single addresses, as address:count,….'
  },
  'max.incremental.fetch.session.cache.slots': {
    type: 'int',
    default: '1000',
    min: 0,
    doc: 'Most fetch sessions at a time.'
  },
  'num.partitions': { type: 'int', default: '1', min: 1, doc: 'Partitions of a topic that names no count.' },
  'offset.metadata.max.bytes': {
    type: 'int',
    default: '4096',
    min: 0,
    doc: 'Longest text that a client may store beside a committed offset, in bytes.'
  },
  'offsets.retention.check.interval.ms': {
    type: 'long',
    default: '600000',
    min: 1,
    doc: 'How often expired offsets are looked for, in milliseconds.'
  },
  'offsets.retention.minutes': {
    type: 'int',
    default: '10080',
    min: 1,
    doc: 'How long committed offsets are kept after their group is empty, in minutes.'
  },
  'offsets.topic.segment.bytes': {
    type: 'int',
    // Kafka has 104857600. The active segment is not compacted, and all of it is read at a start: here it is the
    // same process that has to be ready again in a moment.
    default: '16777216',
    min: 1048576,
    doc: 'Segment size of __consumer_offsets, in bytes; decided when the topic is created.'
  },
  'offsets.topic.num.partitions': {
    type: 'int',
    // Kafka's default is 50, to spread groups over brokers. One node gains nothing from that and would
    // pay for 50 folders and files at its first group, so it takes 4.
    default: '4',
    min: 1,
    doc: 'Partitions of __consumer_offsets; decided when the topic is created.'
  },
  'producer.id.expiration.ms': {
    type: 'int',
    default: '86400000',
    min: 1,
    doc: 'How long the state of an idempotent producer is kept after its last record, in milliseconds.'
  },
  'quota.window.num': { type: 'int', default: '11', min: 1, doc: 'How many windows of use count for a quota.' },
  'quota.window.size.seconds': {
    type: 'int',
    default: '1',
    min: 1,
    doc: 'How long each window of use is, in seconds.'
  },
  'sasl.server.max.receive.size': {
    type: 'int',
    default: '524288',
    min: 1,
    doc: 'Largest request of a SASL client before it has authenticated, in bytes.'
  },
  'socket.request.max.bytes': { type: 'int', default: '104857600', min: 1, doc: 'Largest request, in bytes.' },
  'super.users': {
    type: 'string',
    default: '',
    doc: 'Principals that may do everything whatever the ACLs say, separated by semicolons: User:alice;User:bob.'
  },
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': {
    type: 'int',
    default: '10000',
    min: 1,
    doc: 'How often transactions are looked for that exceed their timeout, in milliseconds.'
  },
  'transaction.max.timeout.ms': {
    type: 'int',
    default: '900000',
    min: 1,
    doc: 'Longest timeout that a transactional producer may ask for, in milliseconds.'
  },
  'transaction.partition.verification.enable': {
    type: 'boolean',
    default: 'true',
    doc: 'Whether a partition takes records of a transaction only after its coordinator has said that it is part of it.'
  },
  'transaction.remove.expired.transaction.cleanup.interval.ms': {
    type: 'int',
    default: '3600000',
    min: 1,
    doc: 'How often transactional ids are looked for that have expired, in milliseconds.'
  },
  'transaction.state.log.num.partitions': {
    type: 'int',
    // Kafka has 50; see offsets.topic.num.partitions.
    default: '4',
    min: 1,
    doc: 'Partitions of __transaction_state; decided when the topic is created.'
  },
  'transaction.state.log.segment.bytes': {
    type: 'int',
    // Kafka has 104857600; see offsets.topic.segment.bytes.
    default: '16777216',
    min: 1048576,
    doc: 'Segment size of __transaction_state, in bytes; decided when the topic is created.'
  },
  'transactional.id.expiration.ms': {
    type: 'int',
    default: '604800000',
    min: 1,
    doc: 'How long a transactional id is kept after its last use, in milliseconds.'
  }
} as const satisfies Record<string, BrokerSettingEntry>

/** Name of a broker setting in the table. */
export type BrokerSettingName = keyof typeof BROKER_SETTINGS

/** The table row of a broker setting, if the name is in the table. */
export function brokerSettingEntry(name: string): BrokerSettingEntry | undefined {
  return isBrokerSettingName(name) ? BROKER_SETTINGS[name] : undefined
}

function isBrokerSettingName(name: string): name is BrokerSettingName {
  return Object.hasOwn(BROKER_SETTINGS, name)
}

/** What is wrong with a value, as a sentence; `undefined` if nothing is. */
export function brokerSettingProblem(name: string, value: string): string | undefined {
  const entry = brokerSettingEntry(name)
  if (entry === undefined || entry.type === 'string') return undefined
  const text = value.trim()
  if (entry.type === 'boolean')
    return /^(true|false)$/i.test(text) ? undefined : `${name} is "${value}": true or false is expected`
  if (!/^-?\d{1,19}$/.test(text)) return `${name} is "${value}": an integer is expected`
  const number = BigInt(text)
  if (BigInt.asIntN(entry.type === 'int' ? 32 : 64, number) !== number) return `${name} is ${value}: too large`
  if (entry.min !== undefined && number < BigInt(entry.min))
    return `${name} is ${value}: at least ${entry.min} is expected`
  return undefined
}

/** Where the value of a setting comes from; `undefined` is Kafka's default. */
export type SettingSource = 'node' | 'cluster' | 'static' | undefined

/** The broker's settings: what was changed at run time, else what was given at the start, else Kafka's default. */
export class BrokerSettings {
  /** What is set now, by name. The object stays the same when settings change, so it can be kept. */
  readonly given: Record<string, string>
  readonly #static: Readonly<Record<string, string>>
  #dynamic: Readonly<Record<'cluster' | 'node', Readonly<Record<string, string>>>> = { cluster: {}, node: {} }

  /**
   * @param given - Settings by Kafka name. Names that nobody knows are kept and have no effect, as in Kafka.
   * @throws PipelineError `ERR_BROKER_INVALID_SETTING` with every problem.
   */
  constructor(given: Readonly<Record<string, string>> = {}) {
    // Typed as text, but JavaScript knows no types.
    const problems = Object.entries<unknown>(given).flatMap(
      ([name, value]) =>
        (typeof value === 'string'
          ? brokerSettingProblem(name, value)
          : `${name} is of type ${typeof value}: settings are text, such as '1'`) ?? []
    )
    if (problems.length > 0) throw invalidSettings(problems)
    this.given = { ...given }
    this.#static = { ...given }
  }

  /** Puts settings in force that were changed at run time: those of this node before those of the cluster. */
  setDynamic(layers: Readonly<Record<'cluster' | 'node', Readonly<Record<string, string>>>>): void {
    this.#dynamic = layers
    for (const name of Object.keys(this.given)) delete this.given[name]
    Object.assign(this.given, this.#static, layers.cluster, layers.node)
  }

  /** Every value that is set for a name, the one in force first. */
  valuesOf(name: string): { readonly value: string; readonly source: Exclude<SettingSource, undefined> }[] {
    const layers = [
      { value: this.#dynamic.node[name], source: 'node' as const },
      { value: this.#dynamic.cluster[name], source: 'cluster' as const },
      { value: this.#static[name], source: 'static' as const }
    ]
    return layers.flatMap(({ value, source }) => (value === undefined ? [] : [{ value, source }]))
  }

  /** Value as text. */
  text(name: BrokerSettingName): string {
    return this.given[name] ?? BROKER_SETTINGS[name].default
  }

  /** Value of an integer setting. */
  number(name: BrokerSettingName): number {
    return Number(this.text(name))
  }

  /** Value of a boolean setting. */
  isOn(name: BrokerSettingName): boolean {
    return this.text(name).trim().toLowerCase() === 'true'
  }
}

/** The error for settings that Kafka does not allow. */
export function invalidSettings(problems: readonly string[]): PipelineError {
  return new PipelineError('ERR_BROKER_INVALID_SETTING', `the broker cannot start: ${problems.join('; ')}`, {
    fields: { problems }
  })
}
