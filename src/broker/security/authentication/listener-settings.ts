/**
 * Settings of listeners under Kafka's names. Each may be given for one listener,
 * as `listener.name.<name in lower case>.<setting>`, which wins over the plain
 * name. They are text of the start, not part of what DescribeConfigs shows,
 * because several of them hold secrets.
 *
 * Understood: `ssl.keystore.location` (a PEM file with chain and key),
 * `ssl.keystore.certificate.chain` and `ssl.keystore.key` (PEM text),
 * `ssl.key.password`, `ssl.truststore.location`, `ssl.truststore.certificates`,
 * `ssl.client.auth`, `ssl.principal.mapping.rules`, `ssl.enabled.protocols`,
 * `sasl.enabled.mechanisms`, `<mechanism>.sasl.jaas.config` (PLAIN's users,
 * OAUTHBEARER's unsecured mode), `sasl.oauthbearer.*`, `connections.max.reauth.ms`.
 * Stores in Java's own formats are refused: they must be PEM.
 */

import { parseJaas } from './jaas.ts'
import {
  CLIENT_AUTH_MODES,
  type ListenerSaslOptions,
  type ListenerTlsOptions,
  type OauthOptions,
  SASL_MECHANISMS,
  type SaslMechanism
} from './listener-options.ts'

const LIST_SEPARATOR = /\s*,\s*/

/** Settings as one listener sees them. */
export class ListenerSettings {
  readonly #given: Readonly<Record<string, string>>
  readonly #prefix: string
  /** What is wrong with them, one sentence each. */
  readonly problems: string[] = []

  constructor(given: Readonly<Record<string, string>>, listenerName: string) {
    this.#given = given
    this.#prefix = `listener.name.${listenerName.toLowerCase()}.`
  }

  /** The listener's own value, else the one for all. */
  text(name: string): string | undefined {
    return this.#given[this.#prefix + name] ?? this.#given[name]
  }

  /** A value that exists for one listener only. */
  ownText(name: string): string | undefined {
    return this.#given[this.#prefix + name]
  }

  /** A list; `undefined` if it is not given. */
  list(name: string): string[] | undefined {
    const text = this.text(name)?.trim()
    return text === undefined ? undefined : text === '' ? [] : text.split(LIST_SEPARATOR)
  }

  /**
   * TLS, if a certificate is given.
   *
   * @param isSasl - Whether clients prove themselves by SASL: then a certificate is asked of them only if the setting
   *   is this listener's own, as in Kafka (KIP-684).
   */
  tls(isSasl: boolean): ListenerTlsOptions | undefined {
    const cert = this.text('ssl.keystore.certificate.chain') ?? this.#pemStore('keystore')
    if (cert === undefined) return undefined
    const [key, keyPassword] = [this.text('ssl.keystore.key'), this.text('ssl.key.password')]
    const ca = this.text('ssl.truststore.certificates') ?? this.#pemStore('truststore')
    const rules = this.text('ssl.principal.mapping.rules')
    const mode = isSasl ? this.ownText('ssl.client.auth') : this.text('ssl.client.auth')
    const clientAuth = CLIENT_AUTH_MODES.find(each => each === mode)
    if (mode !== undefined && clientAuth === undefined) {
      this.problems.push(`ssl.client.auth is "${mode}": ${CLIENT_AUTH_MODES.join(', ')} are expected`)
    }
    return {
      cert,
      ...(key === undefined ? {} : { key }),
      ...(keyPassword === undefined ? {} : { keyPassword }),
      ...(ca === undefined ? {} : { ca }),
      ...(clientAuth === undefined ? {} : { clientAuth }),
      ...(rules === undefined ? {} : { principalMappingRules: rules }),
      ...this.#minVersion()
    }
  }

  /** SASL, as far as settings say anything. */
  sasl(): ListenerSaslOptions {
    const enabledMechanisms = this.#mechanisms()
    const plainUsers = this.#plainUsers()
    const oauth = this.#oauth()
    const maxReauthMs = this.ownText('connections.max.reauth.ms')
    if (maxReauthMs !== undefined && !/^\d{1,15}$/.test(maxReauthMs)) {
      this.problems.push(`connections.max.reauth.ms is "${maxReauthMs}": a number of milliseconds is expected`)
    }
    return {
      ...(enabledMechanisms === undefined ? {} : { enabledMechanisms }),
      ...(plainUsers === undefined ? {} : { plainUsers }),
      ...(oauth === undefined ? {} : { oauth }),
      ...(maxReauthMs === undefined ? {} : { maxReauthMs: Number(maxReauthMs) })
    }
  }

  #minVersion(): Pick<ListenerTlsOptions, 'minVersion'> {
    const versions = this.list('ssl.enabled.protocols')
    if (versions === undefined) return {}
    if (versions.includes('TLSv1.2')) return { minVersion: 'TLSv1.2' }
    if (versions.includes('TLSv1.3')) return { minVersion: 'TLSv1.3' }
    this.problems.push(`ssl.enabled.protocols is "${versions.join(',')}": TLSv1.2 and TLSv1.3 are there`)
    return {}
  }

  /** The path of a store, which must be PEM. */
  #pemStore(store: 'keystore' | 'truststore'): string | undefined {
    const location = this.text(`ssl.${store}.location`)
    if (location === undefined) return undefined
    const type = this.text(`ssl.${store}.type`)
    if (type?.toUpperCase() !== 'PEM') {
      this.problems.push(`ssl.${store}.type is "${type ?? 'JKS'}": this broker reads PEM only`)
    }
    return location
  }

  #mechanisms(): SaslMechanism[] | undefined {
    const names = this.list('sasl.enabled.mechanisms')
    const known = names?.flatMap(name => SASL_MECHANISMS.find(each => each === name) ?? [])
    if (names !== undefined && (known?.length !== names.length || names.length === 0)) {
      this.problems.push(
        `sasl.enabled.mechanisms is "${names.join(',')}": one or more of ${SASL_MECHANISMS.join(', ')} are expected`
      )
    }
    return known
  }

  #jaas(mechanism: SaslMechanism): Map<string, string> | undefined {
    const name = `${mechanism.toLowerCase()}.sasl.jaas.config`
    const text = this.ownText(name)
    if (text === undefined) return undefined
    const options = parseJaas(text)
    if (options === undefined) this.problems.push(`${this.#prefix}${name} is no line of JAAS configuration`)
    return options
  }

  #plainUsers(): Record<string, string> | undefined {
    const options = this.#jaas('PLAIN')
    if (options === undefined) return undefined
    const users = [...options].filter(([name]) => name.startsWith('user_'))
    return Object.fromEntries(users.map(([name, password]) => [name.slice('user_'.length), password]))
  }

  #oauth(): OauthOptions | undefined {
    const jaas = this.#jaas('OAUTHBEARER')
    const jwks = this.text('sasl.oauthbearer.jwks.endpoint.url')
    if (jaas === undefined && jwks === undefined) return undefined
    if (jwks !== undefined && !jwks.startsWith('file:')) {
      this.problems.push(`sasl.oauthbearer.jwks.endpoint.url is "${jwks}": a file: URL is expected`)
    }
    const issuer = this.text('sasl.oauthbearer.expected.issuer')
    const audience = this.list('sasl.oauthbearer.expected.audience')
    const principalClaim =
      this.text('sasl.oauthbearer.sub.claim.name') ?? jaas?.get('unsecuredValidatorPrincipalClaimName')
    const scopeClaim = this.text('sasl.oauthbearer.scope.claim.name') ?? jaas?.get('unsecuredValidatorScopeClaimName')
    const requiredScopes = jaas?.get('unsecuredValidatorRequiredScope')?.trim().split(/\s+/)
    const skewSeconds = this.text('sasl.oauthbearer.clock.skew.seconds')
    const skewMs = skewSeconds === undefined ? jaas?.get('unsecuredValidatorAllowableClockSkewMs') : `${skewSeconds}000`
    return {
      // Kafka takes a login module of this mechanism without keys as its development mode, too.
      ...(jwks === undefined ? { isUnsecuredAllowed: true } : { jwks }),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
      ...(principalClaim === undefined ? {} : { principalClaim }),
      ...(scopeClaim === undefined ? {} : { scopeClaim }),
      ...(requiredScopes === undefined ? {} : { requiredScopes }),
      ...(skewMs === undefined || !/^\d+$/.test(skewMs) ? {} : { clockSkewMs: Number(skewMs) })
    }
  }
}
