/** Settings of a Kafka target, and what can be wrong with them. Light: loaded wherever targets are checked. */

import type { KafkaSinkSasl, KafkaSinkTls } from './kafka-security.ts'
import { OptionCheck } from './option-check.ts'
import { readRecordTemplate } from './record-template.ts'

/** A Kafka topic in the configuration. */
export interface KafkaSinkSettings {
  readonly type: 'kafka'
  /** Addresses `host:port` to start from. Source: Kafka `bootstrap.servers`. */
  readonly bootstrapServers: readonly string[]
  /** Topic, or a template of its name: `alerts`, `{topic}-eu`, `orders-{value.region}`. It must exist. */
  readonly topic: string
  /** Template of the key; a record that has nothing for it goes without a key. Default `{key}`: the record's own. */
  readonly key?: string
  /** Compression of batches. Default `none`. Source: Kafka `compression.type`. */
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** Whether records carry where they are from: `comporta-origin-topic`, `-partition`, `-offset`. Default `true`. */
  readonly originHeaders?: boolean
  /** Whether records keep the headers that they had, as far as the event has them. Default `true`. */
  readonly copyHeaders?: boolean
  /**
   * Whether the brokers are those of another cluster than the records are from, so that a topic may have the name of
   * the one it is read from. Default `false`: such a record is not written, because it would come back for ever.
   */
  readonly otherCluster?: boolean
  /** Name of this client in the brokers' logs and quotas. Default `comporta-distributor`. Source: Kafka `client.id`. */
  readonly clientId?: string
  /** `true` = TLS with Node's authorities, or whom to trust and what to show. Default `false`. */
  readonly tls?: boolean | KafkaSinkTls
  /** How to authenticate. Default: not at all. */
  readonly sasl?: KafkaSinkSasl
  /**
   * Silence in milliseconds after which the connections are made anew before they are used: a frozen function sends
   * nothing, and what is between it and the brokers forgets idle connections without a word (350 s in AWS). Integer,
   * 1_000 to 3_600_000. Default 240_000.
   */
  readonly idleMaxMs?: number
  /** Most records in one request. Integer, 1 to 100_000. Default 10_000. */
  readonly recordsMax?: number
}

const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[^\s:,[\]]+):\d{1,5}$/
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'AWS_MSK_IAM']
const REGION = /^[a-z]{2,}(-[a-z]+)+-\d+$/

/**
 * Every problem of a Kafka target's settings.
 *
 * @param environment - Where `{ env: … }` is looked up; without it only the form is checked.
 */
export function kafkaSinkProblems(
  given: unknown,
  environment?: Readonly<Record<string, string | undefined>>
): string[] {
  const check = new OptionCheck(given)
  const servers = check.take('bootstrapServers')
  if (!Array.isArray(servers) || servers.length === 0 || !servers.every(each => isAddress(each))) {
    check.report('bootstrapServers', 'is not a list of broker addresses such as ["b-1.example.com:9098"]')
  }
  topicProblems(check)
  const key = check.text('key')
  const template = key === undefined ? undefined : readRecordTemplate(key)
  if (typeof template === 'string') check.report('key', template)
  check.oneOf('compression', COMPRESSIONS)
  check.flag('originHeaders')
  check.flag('copyHeaders')
  check.flag('otherCluster')
  check.text('clientId', { pattern: /^[a-zA-Z0-9._-]{1,249}$/, hint: '1 to 249 letters, digits, ".", "_" or "-"' })
  check.integer('idleMaxMs', 1_000, 3_600_000)
  check.integer('recordsMax', 1, 100_000)
  const isTls = tlsProblems(check, environment)
  saslProblems(check, isTls, environment)
  return check.finish()
}

function isAddress(value: unknown): boolean {
  return typeof value === 'string' && ADDRESS.test(value)
}

function topicProblems(check: OptionCheck): void {
  const topic = check.text('topic', { isRequired: true, hint: 'the name of a topic, or a template of it' })
  const template = topic === undefined ? undefined : readRecordTemplate(topic)
  if (typeof template === 'string') check.report('topic', template)
  else if (template?.literals.every(literal => /^[a-zA-Z0-9._-]*$/.test(literal)) === false) {
    check.report('topic', 'has characters that no topic may have: letters, digits, ".", "_" and "-" only')
  } else if (template?.places.length === 0 && !isTopicName(topic ?? '')) {
    check.report('topic', 'is not a topic name: 1 to 249 letters, digits, ".", "_" or "-"')
  }
}

/** Whether a topic may have this name. Source: Kafka `Topic.validate`. */
export function isTopicName(name: string): boolean {
  return /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/.test(name)
}

type Environment = Readonly<Record<string, string | undefined>> | undefined

/** @returns Whether connections are encrypted. */
function tlsProblems(check: OptionCheck, environment: Environment): boolean {
  const tls = check.take('tls')
  if (tls === undefined || typeof tls === 'boolean') return tls === true
  if (!isObject(tls)) {
    check.report('tls', 'is neither true, false nor an object')
    return false
  }
  const { serverName, ...secrets } = tls
  if (serverName !== undefined && typeof serverName !== 'string') check.report('tls.serverName', 'is not a host name')
  for (const [name, secret] of Object.entries(secrets)) {
    if (!['ca', 'cert', 'key', 'passphrase'].includes(name)) {
      check.report(`tls.${name}`, 'is no setting of TLS (ca, cert, key, passphrase, serverName)')
    } else secretProblems(check, `tls.${name}`, { secret, environment })
  }
  if ((tls['cert'] === undefined) !== (tls['key'] === undefined)) {
    check.report('tls', 'cert and key go together: give both or none')
  }
  return true
}

function saslProblems(check: OptionCheck, isTls: boolean, environment: Environment): void {
  const sasl = check.take('sasl')
  if (sasl === undefined) return
  const mechanism = isObject(sasl) ? sasl['mechanism'] : undefined
  if (!isObject(sasl) || typeof mechanism !== 'string' || !MECHANISMS.includes(mechanism)) {
    check.report('sasl', `is not an object with mechanism: ${MECHANISMS.join(', ')}`)
    return
  }
  const isIam = mechanism === 'AWS_MSK_IAM'
  const members = isIam ? ['mechanism', 'region'] : ['mechanism', 'username', 'password']
  for (const name of Object.keys(sasl)) {
    if (!members.includes(name)) check.report(`sasl.${name}`, `is no setting of ${mechanism} (${members.join(', ')})`)
  }
  if (isIam) {
    const { region } = sasl
    if (typeof region !== 'string' || !REGION.test(region)) {
      check.report('sasl.region', 'is not an AWS region such as eu-west-1')
    }
    if (!isTls) check.report('sasl', 'AWS_MSK_IAM is offered with TLS only: add tls: true')
    return
  }
  secretProblems(check, 'sasl.username', { secret: sasl['username'], environment })
  secretProblems(check, 'sasl.password', { secret: sasl['password'], environment })
}

function secretProblems(
  check: OptionCheck,
  name: string,
  { secret, environment }: { readonly secret: unknown; readonly environment: Environment }
): void {
  if (typeof secret === 'string' && secret !== '') return
  const [kind, ...others] = isObject(secret) ? Object.keys(secret) : []
  const where = isObject(secret) && kind !== undefined ? secret[kind] : undefined
  if (others.length > 0 || (kind !== 'env' && kind !== 'file') || typeof where !== 'string' || where === '') {
    check.report(name, 'is neither { env: NAME }, { file: PATH } nor a text')
  } else if (kind === 'env' && environment !== undefined && (environment[where] ?? '') === '') {
    check.report(name, `the environment variable ${where} is not set`)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
