/**
 * Java client properties (`--command-config client.properties`, as Kafka's own tools take them) as our `kafka:`.
 *
 *     security.protocol   PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
 *     sasl.mechanism      PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, AWS_MSK_IAM, OAUTHBEARER, with sasl.jaas.config
 *     ssl.truststore.*    type PEM: location or certificates
 *     ssl.keystore.*      type PEM: location, or key and certificate.chain; type PKCS12: location and password
 *
 * Values may have references (`${env:NAME}`, `${file:…}`, `${directory:…}`). Java
 * keystores cannot be read without Java: the message has the command that
 * converts them. Certificates that stand in the file itself go through
 * variables of this process, never through files. No value is ever in a message.
 * Source: Kafka's client configuration, KIP-651 (PEM), KIP-768 (OAUTHBEARER).
 */

import type { KafkaInput } from '../../config/index.ts'
import { PipelineError } from '../../core/index.ts'
import { parseProperties, resolveReferences } from '../properties.ts'

/** What properties say. */
export interface ClientProperties {
  /** `bootstrapServers` only if the file has `bootstrap.servers`. */
  readonly kafka: Omit<KafkaInput, 'bootstrapServers'> & { readonly bootstrapServers?: string }
  /** Variables that `kafka` refers to: to be set before it is used. */
  readonly environment: Readonly<Record<string, string>>
  /** Settings of security that have no meaning here. */
  readonly ignored: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>
type Sasl = NonNullable<KafkaInput['sasl']>
type Tls = Exclude<NonNullable<KafkaInput['tls']>, boolean>

/** Settings of security that are read, or that change nothing here. */
const KNOWN: ReadonlySet<string> = new Set([
  'security.protocol',
  'sasl.mechanism',
  'sasl.jaas.config',
  'sasl.client.callback.handler.class',
  'sasl.login.callback.handler.class',
  'sasl.oauthbearer.token.endpoint.url',
  'sasl.oauthbearer.client.credentials.client.id',
  'sasl.oauthbearer.client.credentials.client.secret',
  'sasl.oauthbearer.scope',
  'ssl.endpoint.identification.algorithm',
  'ssl.key.password',
  'ssl.keystore.certificate.chain',
  'ssl.keystore.key',
  'ssl.keystore.location',
  'ssl.keystore.password',
  'ssl.keystore.type',
  'ssl.truststore.certificates',
  'ssl.truststore.location',
  'ssl.truststore.password',
  'ssl.truststore.type'
])

/**
 * Reads client properties.
 *
 * @param text - Of the file.
 * @throws PipelineError `ERR_CLI_INPUT` for what cannot be used, with the remedy.
 */
export function readClientProperties(text: string, environment: Environment): ClientProperties {
  const given = new Map([...parseProperties(text)].map(([name, value]) => [name, value.trim()]))
  const get = (name: string): string | undefined => {
    const value = given.get(name)
    return value === undefined || value === '' ? undefined : resolveReferences(value, environment)
  }
  const protocol = (get('security.protocol') ?? 'PLAINTEXT').toUpperCase()
  const isSasl = protocol.startsWith('SASL_')
  if (!['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'].includes(protocol)) {
    throw wrong('security.protocol is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL')
  }
  if (given.get('ssl.endpoint.identification.algorithm') === '') {
    const remedy = 'leave the line out, and use addresses that the certificate of the brokers names'
    throw wrong(`ssl.endpoint.identification.algorithm is empty: host names are always checked here; ${remedy}`)
  }
  const variables: Record<string, string> = {}
  const isEncrypted = protocol === 'SSL' || protocol === 'SASL_SSL'
  const bootstrapServers = get('bootstrap.servers')
  const clientId = get('client.id')
  const requestTimeoutMs = get('request.timeout.ms')
  return {
    kafka: {
      ...(bootstrapServers === undefined ? {} : { bootstrapServers }),
      ...(clientId === undefined ? {} : { clientId }),
      ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs: Math.max(1000, Number(requestTimeoutMs)) }),
      ...(isEncrypted ? { tls: tlsOf(get, variables) } : {}),
      ...(isSasl ? { sasl: saslOf(get, bootstrapServers, environment) } : {})
    },
    environment: variables,
    ignored: [...given.keys()].filter(name => /^(security|sasl|ssl)\./.test(name) && !KNOWN.has(name))
  }
}

type Get = (name: string) => string | undefined

function tlsOf(get: Get, variables: Record<string, string>): true | Tls {
  const tls: Record<string, unknown> = {}
  const inline = (name: string, pem: string): { env: string } => {
    const variable = `COMPORTA_COMMAND_CONFIG_${name}`
    variables[variable] = pem
    return { env: variable }
  }
  const trusted = get('ssl.truststore.certificates')
  const trustFile = get('ssl.truststore.location')
  if (trusted !== undefined) tls['ca'] = inline('CA', trusted)
  else if (trustFile !== undefined) {
    refuseJava('truststore', trustFile, get('ssl.truststore.type') ?? 'JKS')
    tls['ca'] = trustFile
  }
  const chain = get('ssl.keystore.certificate.chain')
  const key = get('ssl.keystore.key')
  const keyFile = get('ssl.keystore.location')
  if (chain !== undefined || key !== undefined) {
    if (chain === undefined || key === undefined) {
      throw wrong('ssl.keystore.key and ssl.keystore.certificate.chain belong together: one is missing')
    }
    tls['cert'] = inline('CERTIFICATE', chain)
    tls['key'] = inline('KEY', key)
  } else if (keyFile !== undefined) {
    const type = (get('ssl.keystore.type') ?? 'JKS').toUpperCase()
    if (type === 'PKCS12') tls['pfx'] = keyFile
    else {
      refuseJava('keystore', keyFile, type)
      tls['cert'] = keyFile
    }
  }
  const hasOwn = tls['cert'] !== undefined || tls['pfx'] !== undefined
  const passphrase = get('ssl.key.password') ?? get('ssl.keystore.password')
  if (hasOwn && passphrase !== undefined) tls['passphrase'] = passphrase
  // Checked by the schema: only its own names are written above.
  return Object.keys(tls).length === 0 ? true : (tls as Tls)
}

function refuseJava(store: 'truststore' | 'keystore', file: string, type: string): void {
  if (type.toUpperCase() === 'PEM') return
  const command =
    store === 'truststore'
      ? `keytool -list -rfc -keystore ${file} > ca.pem, then ssl.truststore.type=PEM and ssl.truststore.location=ca.pem`
      : `keytool -importkeystore -srckeystore ${file} -destkeystore client.p12 -deststoretype PKCS12, then ` +
        'ssl.keystore.type=PKCS12 and ssl.keystore.location=client.p12'
  throw wrong(`ssl.${store}.location: a ${store} of type ${type} can only be read by Java; convert it: ${command}`)
}

function saslOf(get: Get, bootstrapServers: string | undefined, environment: Environment): Sasl {
  const mechanism = (get('sasl.mechanism') ?? 'GSSAPI').toUpperCase()
  const jaas = readJaas(get('sasl.jaas.config'))
  switch (mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512': {
      const [username, password] = [jaas.get('username'), jaas.get('password')]
      if (username !== undefined && password !== undefined) return { mechanism, username, password }
      throw wrong(`sasl.jaas.config has no username and password for ${mechanism}`)
    }
    case 'AWS_MSK_IAM':
      return iamOf(jaas, bootstrapServers, environment)
    case 'OAUTHBEARER':
      return bearerOf(get, jaas)
    default:
      throw wrong(
        `sasl.mechanism ${mechanism} is not supported; there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, AWS_MSK_IAM, ` +
          'OAUTHBEARER'
      )
  }
}

function iamOf(jaas: ReadonlyMap<string, string>, servers: string | undefined, environment: Environment): Sasl {
  const named = /\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com/.exec(servers ?? '')?.[1]
  const region = named ?? jaas.get('awsStsRegion') ?? environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION']
  if (region === undefined) {
    throw wrong('AWS_MSK_IAM: the region is not in the names of the brokers: set AWS_REGION, or awsStsRegion')
  }
  const [profile, roleArn, roleSessionName] = ['awsProfileName', 'awsRoleArn', 'awsRoleSessionName'].map(name =>
    jaas.get(name)
  )
  return {
    mechanism: 'AWS_MSK_IAM',
    region,
    ...(profile === undefined ? {} : { profile }),
    ...(roleArn === undefined ? {} : { roleArn }),
    ...(roleSessionName === undefined ? {} : { roleSessionName })
  }
}

function bearerOf(get: Get, jaas: ReadonlyMap<string, string>): Sasl {
  const endpoint = get('sasl.oauthbearer.token.endpoint.url')
  const extensions = Object.fromEntries(
    [...jaas].flatMap(([name, value]) =>
      name.startsWith('extension_') ? [[name.slice('extension_'.length), value] as const] : []
    )
  )
  const more = Object.keys(extensions).length === 0 ? {} : { extensions }
  if (endpoint === undefined) throw wrong('OAUTHBEARER: sasl.oauthbearer.token.endpoint.url is missing')
  if (endpoint.startsWith('file:')) return { mechanism: 'OAUTHBEARER', tokenFile: new URL(endpoint).pathname, ...more }
  const clientId = get('sasl.oauthbearer.client.credentials.client.id') ?? jaas.get('clientId')
  const clientSecret = get('sasl.oauthbearer.client.credentials.client.secret') ?? jaas.get('clientSecret')
  if (clientId === undefined || clientSecret === undefined) {
    throw wrong('OAUTHBEARER: sasl.jaas.config has no clientId and clientSecret')
  }
  const scope = get('sasl.oauthbearer.scope') ?? jaas.get('scope')
  const credentials = { tokenEndpoint: endpoint, clientId, clientSecret }
  return { mechanism: 'OAUTHBEARER', ...credentials, ...(scope === undefined ? {} : { scope }), ...more }
}

/**
 * ```
 * jaas  => module ("required" | "requisite" | "sufficient" | "optional") *(name "=" value) ";"
 * value => '"' characters, quotes and backslashes escaped by a backslash '"' | characters without blanks
 * ```
 */
function readJaas(text: string | undefined): Map<string, string> {
  const options = new Map<string, string>()
  if (text === undefined) return options
  const match = /^\s*[\w.$]+\s+(?:required|requisite|sufficient|optional)\b(.*?);?\s*$/is.exec(text)
  const rest = match?.[1]
  if (rest === undefined) throw wrong('sasl.jaas.config is not: <module> required name="value" …;')
  const pair = /([\w.-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s";]+))/gs
  for (const [, name = '', quoted, bare = ''] of rest.matchAll(pair)) {
    options.set(name, quoted === undefined ? bare : quoted.replaceAll(/\\(.)/gs, '$1'))
  }
  const left = rest.replaceAll(pair, '')
  if (left.replaceAll(';', '').trim() !== '') {
    throw wrong('sasl.jaas.config has something in it that is no name="value": is a quote missing?')
  }
  return options
}

function wrong(message: string): PipelineError {
  return new PipelineError('ERR_CLI_INPUT', `--command-config: ${message}`)
}
