/**
 * Options of `comporta broker` about who may connect and how: a settings file in
 * Kafka's own form, listeners, TLS and users. Secrets come in files or in the
 * environment, never in arguments, which every user of the machine can read.
 */

import { pathToFileURL } from 'node:url'

import { InvalidArgumentError, Option } from 'commander'

import type { BrokerOptions, ScramUser } from '../../broker/index.ts'
import { PipelineError } from '../../core/index.ts'
import { parseProperties, readInput, resolveReferences } from '../properties.ts'
import { collect } from '../operations/collect.ts'

/** What the options give. */
export interface BrokerSecurityOptions {
  readonly config?: string
  readonly listener?: readonly string[]
  readonly advertisedListener?: readonly string[]
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsClientCa?: string
  readonly saslMechanisms?: string
  readonly scramUsers?: string
  readonly plainUsers?: string
  readonly oauthJwks?: string
  readonly allowInsecureNetwork?: boolean
}

/** Name of the variable with the passphrase of the private key. */
export const KEY_PASSWORD_VARIABLE = 'COMPORTA_BROKER_TLS_KEY_PASSWORD'

const SECRET = /password|jaas\.config|keystore\.key$|secret/i

function parseListener(text: string, before?: readonly string[]): readonly string[] {
  if (/^[\w-]+:\/\/[^\s,]*:\d+$/.test(text)) return collect(text, before)
  throw new InvalidArgumentError('Write NAME://host:port, for example SASL_SSL://0.0.0.0:9093.')
}

/** The options, as commander takes them. */
export function brokerSecurityOptions(): Option[] {
  return [
    new Option(
      '--config <file>',
      'settings in Kafka’s server.properties form; ${env:NAME} and ${file:path:name} inside'
    ),
    new Option(
      '--listener <url>',
      'a listener such as SASL_SSL://0.0.0.0:9093, instead of --host and --port; may be repeated'
    ).argParser(parseListener),
    new Option(
      '--advertised-listener <url>',
      'where clients of the listener of that name are told to connect'
    ).argParser(parseListener),
    new Option('--tls-cert <file>', 'certificate chain of SSL and SASL_SSL listeners, PEM; read again when it changes'),
    new Option(
      '--tls-key <file>',
      `its private key, PEM (passphrase: ${KEY_PASSWORD_VARIABLE}; default: in --tls-cert)`
    ),
    new Option(
      '--tls-client-ca <file>',
      'authorities of client certificates, PEM: clients of SSL listeners must have one'
    ),
    new Option('--sasl-mechanisms <list>', 'mechanisms that clients may use (default: SCRAM, and those set up below)'),
    new Option('--scram-users <file>', 'users of the first start, a line each: name:password'),
    new Option('--plain-users <file>', 'users of PLAIN, a line each: name:password'),
    new Option('--oauth-jwks <file>', 'key set that bearer tokens of OAUTHBEARER are signed with'),
    new Option('--allow-insecure-network', 'allow a listener without TLS on other addresses than loopback')
  ]
}

/** Refuses to take secrets from the command line. */
export function refuseSecret(settingName: string): void {
  if (!SECRET.test(settingName)) return
  throw new InvalidArgumentError(`${settingName} is a secret: put it in the file of --config, or name a file there.`)
}

/**
 * What the broker is told.
 *
 * @throws PipelineError `ERR_CLI_INPUT` for files that cannot be read, `ERR_CLI_USAGE` for options that exclude
 *   each other.
 */
export function brokerOptionsOf(
  options: BrokerSecurityOptions & { readonly set?: Readonly<Record<string, string>> },
  environment: Readonly<Record<string, string | undefined>>
): Pick<BrokerOptions, 'config' | 'scramUsers' | 'plainUsers' | 'isLoopbackGuarded' | 'nodeId' | 'dataDir'> {
  const file =
    options.config === undefined ? new Map<string, string>() : parseProperties(readInput(options.config, '--config'))
  const fromFile = [...file].map(([name, value]) => [name, resolveReferences(value, environment)] as const)
  const config: Record<string, string> = {
    ...Object.fromEntries(fromFile),
    ...settingsOf(options, environment),
    ...options.set
  }
  refuseIdle(options, config)
  const scramUsers = options.scramUsers === undefined ? undefined : usersIn(options.scramUsers, '--scram-users')
  const plainUsers =
    options.plainUsers === undefined
      ? undefined
      : Object.fromEntries(usersIn(options.plainUsers, '--plain-users').map(({ name, password }) => [name, password]))
  const nodeId = config['node.id'] ?? config['broker.id']
  const dataDir = config['log.dir'] ?? config['log.dirs']
  if (dataDir?.includes(',') === true) {
    throw new PipelineError('ERR_CLI_USAGE', 'log.dirs has several folders; this broker uses one')
  }
  return {
    config,
    isLoopbackGuarded: options.allowInsecureNetwork !== true,
    ...(scramUsers === undefined ? {} : { scramUsers }),
    ...(plainUsers === undefined ? {} : { plainUsers }),
    ...(nodeId === undefined ? {} : { nodeId: Number(nodeId) }),
    ...(dataDir === undefined ? {} : { dataDir })
  }
}

/** What secures nothing is refused: whoever gives a certificate must not get a broker without TLS. */
function refuseIdle(options: BrokerSecurityOptions, config: Readonly<Record<string, string>>): void {
  if (config['listeners'] !== undefined) return
  const { tlsCert, tlsKey, tlsClientCa, advertisedListener, saslMechanisms, scramUsers, plainUsers, oauthJwks } =
    options
  const given = Object.entries({
    '--tls-cert': tlsCert,
    '--tls-key': tlsKey,
    '--tls-client-ca': tlsClientCa,
    '--sasl-mechanisms': saslMechanisms,
    '--scram-users': scramUsers,
    '--plain-users': plainUsers,
    '--oauth-jwks': oauthJwks,
    '--advertised-listener': advertisedListener
  }).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  if (given.length === 0) return
  const what = `${given.join(', ')}: the only listener is PLAINTEXT, without TLS and users`
  throw new PipelineError('ERR_CLI_USAGE', `${what}; add a --listener, such as SASL_SSL://127.0.0.1:9093`)
}

/** The shorthands as Kafka's settings. */
function settingsOf(
  options: BrokerSecurityOptions,
  environment: Readonly<Record<string, string | undefined>>
): Record<string, string> {
  const { listener, advertisedListener, tlsCert, tlsKey, tlsClientCa, saslMechanisms, oauthJwks } = options
  const settings: Record<string, string> = {}
  if (listener !== undefined) settings['listeners'] = listener.join(',')
  if (advertisedListener !== undefined) settings['advertised.listeners'] = advertisedListener.join(',')
  if (tlsCert !== undefined) settings['ssl.keystore.certificate.chain'] = tlsCert
  if (tlsKey !== undefined) settings['ssl.keystore.key'] = tlsKey
  if (tlsClientCa !== undefined) {
    settings['ssl.truststore.certificates'] = tlsClientCa
    settings['ssl.client.auth'] = 'required'
  }
  const passphrase = environment[KEY_PASSWORD_VARIABLE]
  if (passphrase !== undefined) settings['ssl.key.password'] = passphrase
  if (saslMechanisms !== undefined) settings['sasl.enabled.mechanisms'] = saslMechanisms
  if (oauthJwks !== undefined) settings['sasl.oauthbearer.jwks.endpoint.url'] = pathToFileURL(oauthJwks).href
  return settings
}

/** Users of a file, a line each. */
function usersIn(path: string, option: string): ScramUser[] {
  const lines = readInput(path, option).split(/\r?\n/)
  return lines.flatMap((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return []
    const at = line.indexOf(':')
    if (at > 0 && at < line.length - 1) return [{ name: line.slice(0, at), password: line.slice(at + 1) }]
    throw new PipelineError('ERR_CLI_INPUT', `${path}, line ${index + 1}: name:password is expected`)
  })
}
