/**
 * Which listeners a broker has: from the typed options, else from Kafka's
 * settings `listeners`, `advertised.listeners` and
 * `listener.security.protocol.map`, else one PLAINTEXT listener on `host` and
 * `port`. What a listener needs and lacks is found here, before anything is opened.
 */

import { isIP } from 'node:net'
import {
  type ListenerOptions,
  type ListenerSaslOptions,
  type ListenerTlsOptions,
  SECURITY_PROTOCOLS,
  type SaslMechanism,
  type SecurityProtocol
} from '../security/authentication/listener-options.ts'
import { ListenerSettings } from '../security/authentication/listener-settings.ts'
import { principalMapper } from '../security/authentication/principal-mapper.ts'
import type { BrokerSettings } from '../settings.ts'
import { parseOverrides } from './connection-limits.ts'

/** A listener with everything decided. */
export interface Listener {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly advertisedHost: string
  /** `undefined`: the port in use. */
  readonly advertisedPort: number | undefined
  readonly securityProtocol: SecurityProtocol
  /** For SSL and SASL_SSL only. */
  readonly tls: ListenerTlsOptions | undefined
  /** For SASL_PLAINTEXT and SASL_SSL only. */
  readonly sasl: ListenerSasl | undefined
  /** Kafka `max.connections` of this listener. */
  readonly connectionCountMax: number
}

/** SASL of a listener with everything decided. */
export interface ListenerSasl extends ListenerSaslOptions {
  readonly enabledMechanisms: readonly SaslMechanism[]
  readonly maxReauthMs: number
}

/** What a broker may be told about where it listens. */
export interface ListeningOptions {
  readonly host?: string
  readonly port?: number
  readonly advertisedHost?: string
  readonly advertisedPort?: number
  readonly listeners?: readonly ListenerOptions[]
  readonly isLoopbackGuarded?: boolean
  readonly plainUsers?: Readonly<Record<string, string>>
}

const DEFAULT_HOST = '127.0.0.1'
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/

/** The listeners, and what is wrong with them: one sentence each. */
export function resolveListeners(
  options: ListeningOptions,
  settings: BrokerSettings
): { readonly listeners: readonly Listener[]; readonly problems: readonly string[] } {
  const problems: string[] = []
  const given = givenListeners(options, settings, problems)
  const listeners = given.map(each => resolve(each, { broker: settings, problems, plainUsers: options.plainUsers }))
  const names = listeners.map(listener => listener.name)
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  if (twice.length > 0)
    problems.push(`the listener ${twice[0] ?? ''} is there twice: every listener needs its own name`)
  const overrides = settings.text('max.connections.per.ip.overrides')
  if (parseOverrides(overrides) === undefined) {
    problems.push(`max.connections.per.ip.overrides is "${overrides}": address:count,… is expected`)
  }
  if (options.isLoopbackGuarded === true) problems.push(...listeners.flatMap(each => openProblem(each) ?? []))
  if (listeners.length === 0) problems.push('listeners is empty: a broker needs one')
  return { listeners, problems }
}

/** `host:port`, with an IPv6 address in brackets. */
export function hostAndPort(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

/** Whoever can read the network could read records and passwords, and write: that is asked for, not stumbled into. */
function openProblem({ name, host, securityProtocol }: Listener): string | undefined {
  const isEncrypted = securityProtocol === 'SSL' || securityProtocol === 'SASL_SSL'
  if (isEncrypted || /^(?:localhost|127\.[\d.]+|::1)$/i.test(host)) return undefined
  return (
    `listener ${name}: ${securityProtocol} on ${host} is open to the network without encryption; ` +
    'use SASL_SSL or SSL there, or --allow-insecure-network if that network is your own'
  )
}

function givenListeners(options: ListeningOptions, settings: BrokerSettings, problems: string[]): ListenerOptions[] {
  const { listeners, host, port, advertisedHost, advertisedPort } = options
  const text = settings.given['listeners']
  if (listeners !== undefined) {
    if (text !== undefined) problems.push('listeners are given twice: as an option and as a setting')
    if ([host, port, advertisedHost, advertisedPort].some(value => value !== undefined)) {
      problems.push('host, port and their advertised forms belong to each of the listeners')
    }
    return [...listeners]
  }
  if (text === undefined) {
    return [
      {
        name: 'PLAINTEXT',
        ...(host === undefined ? {} : { host }),
        ...(port === undefined ? {} : { port }),
        ...(advertisedHost === undefined ? {} : { advertisedHost }),
        ...(advertisedPort === undefined ? {} : { advertisedPort })
      }
    ]
  }
  if ([host, port, advertisedHost, advertisedPort].some(value => value !== undefined)) {
    problems.push('host and port are given as well as listeners: the address belongs to each of the listeners')
  }
  const advertised = new Map(parseAddresses('advertised.listeners', settings, problems).map(each => [each.name, each]))
  // This broker has no controller beside it: settings of a Kafka that has one may be used all the same.
  const controllers = new Set((settings.given['controller.listener.names'] ?? '').toUpperCase().split(/[\s,]+/))
  const own = parseAddresses('listeners', settings, problems).filter(({ name }) => !controllers.has(name))
  return own.map(({ name, host, port }) => {
    const told = advertised.get(name)
    return {
      name,
      port,
      ...(host === '' ? {} : { host }),
      ...(told === undefined ? {} : { advertisedHost: told.host, advertisedPort: told.port })
    }
  })
}

interface Address {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** `NAME://host:port,…`; an empty host is this machine only. */
function parseAddresses(
  setting: 'listeners' | 'advertised.listeners',
  settings: BrokerSettings,
  problems: string[]
): Address[] {
  const parts = (settings.given[setting] ?? '').split(',').filter(part => part.trim() !== '')
  return parts.flatMap(part => {
    const match = /^\s*([A-Za-z0-9_-]+):\/\/(?:\[([0-9a-fA-F:.]+)\]|([^\s:/]*)):(\d{1,5})\s*$/.exec(part)
    const port = Number(match?.[4])
    if (match?.[1] === undefined || !(port <= 65_535)) {
      problems.push(`${setting} has "${part.trim()}": NAME://host:port is expected`)
      return []
    }
    return [{ name: match[1].toUpperCase(), host: match[2] ?? match[3] ?? '', port }]
  })
}

interface ResolveContext {
  readonly broker: BrokerSettings
  readonly problems: string[]
  /** Users of listeners that have none of their own. */
  readonly plainUsers: Readonly<Record<string, string>> | undefined
}

function resolve(options: ListenerOptions, { broker, problems, plainUsers }: ResolveContext): Listener {
  const name = options.name ?? options.securityProtocol ?? 'PLAINTEXT'
  const settings = new ListenerSettings(broker.given, name)
  const securityProtocol = options.securityProtocol ?? mappedProtocol(name, broker)
  const problem = (text: string): void => void problems.push(`listener ${name}: ${text}`)
  if (!NAME.test(name)) problem('the name may have letters, digits, _ and - only')
  if (securityProtocol === undefined) problem('listener.security.protocol.map does not say how it speaks')
  const isTls = securityProtocol === 'SSL' || securityProtocol === 'SASL_SSL'
  const isSasl = securityProtocol === 'SASL_PLAINTEXT' || securityProtocol === 'SASL_SSL'
  const host = options.host ?? DEFAULT_HOST
  const advertisedHost = options.advertisedHost ?? host
  const connectionCountMax = Number(settings.ownText('max.connections') ?? Number.MAX_SAFE_INTEGER)
  if (!Number.isInteger(connectionCountMax)) problem('max.connections is no number')
  const port: unknown = options.port ?? 0
  if (!isPort(port)) problem(`the port is ${JSON.stringify(port)}: a whole number from 0 to 65535 is expected`)
  for (const [user, password] of Object.entries<unknown>(options.sasl?.plainUsers ?? plainUsers ?? {})) {
    if (typeof password !== 'string' || password === '') problem(`the user "${user}" of PLAIN has no password`)
  }
  const listener = {
    name,
    host,
    port: options.port ?? 0,
    advertisedHost: ['0.0.0.0', '::', ''].includes(advertisedHost) ? DEFAULT_HOST : advertisedHost,
    advertisedPort: options.advertisedPort,
    securityProtocol: securityProtocol ?? 'PLAINTEXT',
    tls: isTls ? resolveTls(options.tls ?? settings.tls(isSasl), problem) : undefined,
    sasl: isSasl ? resolveSasl(options, { settings, broker, problem, plainUsers }) : undefined,
    connectionCountMax
  }
  for (const text of settings.problems) problem(text)
  return listener
}

/** Not a text: Node would take it for the path of a pipe. */
function isPort(port: unknown): boolean {
  return typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535
}

function mappedProtocol(name: string, settings: BrokerSettings): SecurityProtocol | undefined {
  const pairs = (settings.given['listener.security.protocol.map'] ?? '').split(',').map(pair => pair.trim().split(':'))
  const mapped = pairs.find(([each]) => each?.toUpperCase() === name.toUpperCase())?.[1] ?? name
  return SECURITY_PROTOCOLS.find(each => each === mapped.toUpperCase())
}

function resolveTls(
  tls: ListenerTlsOptions | undefined,
  problem: (text: string) => void
): ListenerTlsOptions | undefined {
  if (tls === undefined) {
    problem('TLS needs a certificate: tls.cert and tls.key, or ssl.keystore.location with ssl.keystore.type=PEM')
    return undefined
  }
  if ((tls.clientAuth ?? 'none') !== 'none' && tls.ca === undefined) {
    problem(`client certificates are ${tls.clientAuth ?? ''}, but no authority is trusted: tls.ca is missing`)
  }
  const mapper = principalMapper(tls.principalMappingRules ?? 'DEFAULT')
  if (typeof mapper !== 'function') problem(`ssl.principal.mapping.rules: ${mapper.problem}`)
  return tls
}

function resolveSasl(
  options: ListenerOptions,
  context: Pick<ResolveContext, 'broker' | 'plainUsers'> & {
    settings: ListenerSettings
    problem: (text: string) => void
  }
): ListenerSasl {
  const { settings, broker, problem } = context
  const forAll = context.plainUsers === undefined ? {} : { plainUsers: context.plainUsers }
  const sasl: ListenerSaslOptions = { ...forAll, ...settings.sasl(), ...options.sasl }
  const { plainUsers, oauth } = sasl
  const setUp: SaslMechanism[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512']
  if (plainUsers !== undefined) setUp.push('PLAIN')
  if (oauth !== undefined) setUp.push('OAUTHBEARER')
  const enabledMechanisms = [...new Set(sasl.enabledMechanisms ?? setUp)]
  if (enabledMechanisms.includes('PLAIN') && plainUsers === undefined)
    problem('PLAIN has no users: plainUsers is missing')
  if (enabledMechanisms.includes('OAUTHBEARER') && oauth === undefined) {
    problem('OAUTHBEARER has nothing to check tokens with: oauth is missing')
  }
  const isUnchecked = oauth !== undefined && oauth.jwks === undefined && oauth.isUnsecuredAllowed !== true
  if (isUnchecked)
    problem('tokens cannot be checked without keys: give oauth.jwks, or oauth.isUnsecuredAllowed for tests')
  return { ...sasl, enabledMechanisms, maxReauthMs: sasl.maxReauthMs ?? broker.number('connections.max.reauth.ms') }
}
