/** What a listener can be told: where it listens, how it encrypts, how clients prove who they are. */

/** How a listener speaks. Source: Kafka `listener.security.protocol.map`. */
export const SECURITY_PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const
/** One of Kafka's security protocols. */
export type SecurityProtocol = (typeof SECURITY_PROTOCOLS)[number]

/** SASL mechanisms that the broker knows. */
export const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const
/** One SASL mechanism. Source: RFC 4616, RFC 5802 and 7677, RFC 7628. */
export type SaslMechanism = (typeof SASL_MECHANISMS)[number]

/** Whether clients must show a certificate. Source: Kafka `ssl.client.auth`. */
export const CLIENT_AUTH_MODES = ['none', 'requested', 'required'] as const
/** One of these modes. */
export type ClientAuthMode = (typeof CLIENT_AUTH_MODES)[number]

/** TLS of a listener. Files are read again when they change; open connections stay. */
export interface ListenerTlsOptions {
  /** Certificate chain of the broker, its own first: PEM text, or the path of a file with it. */
  readonly cert: string
  /** Private key: PEM text or path. Default: it is beside the certificate in `cert`. */
  readonly key?: string
  /** Passphrase of the private key. Default none. */
  readonly keyPassword?: string
  /** Authorities that certificates of clients must come from: PEM text or path. Needed unless `clientAuth` is none. */
  readonly ca?: string
  /** Whether clients must show a certificate. Default `none`. */
  readonly clientAuth?: ClientAuthMode
  /** How a certificate's subject becomes a principal: Kafka `ssl.principal.mapping.rules`. Default `DEFAULT`. */
  readonly principalMappingRules?: string
  /** Oldest version of TLS. Default `TLSv1.2`; older ones are never offered. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** A JSON Web Key Set (RFC 7517). */
export interface JsonWebKeys {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/** How bearer tokens are checked. */
export interface OauthOptions {
  /** Public keys that sign tokens: a JSON Web Key Set, or the path or `file:` URL of one. */
  readonly jwks?: string | JsonWebKeys
  /**
   * Whether tokens without a signature (`alg: none`) are accepted, as in Kafka's development mode: anybody can be
   * anybody. Default `false`.
   */
  readonly isUnsecuredAllowed?: boolean
  /** Issuer that tokens must name. Default: any. Source: Kafka `sasl.oauthbearer.expected.issuer`. */
  readonly issuer?: string
  /** Audiences of which tokens must name one. Default: any. Source: Kafka `sasl.oauthbearer.expected.audience`. */
  readonly audience?: readonly string[]
  /** Claim with the name of the principal. Default `sub`. */
  readonly principalClaim?: string
  /** Claim with the scopes. Default `scope`. */
  readonly scopeClaim?: string
  /** Scopes that tokens must have. Default none. */
  readonly requiredScopes?: readonly string[]
  /** How far the clocks may be apart, in milliseconds. Default 30_000 with `jwks`, else 0, as in Kafka. */
  readonly clockSkewMs?: number
}

/** SASL of a listener. */
export interface ListenerSaslOptions {
  /**
   * Mechanisms that clients may use. Default: SCRAM, and each of PLAIN and OAUTHBEARER that is set up below.
   * Source: Kafka `sasl.enabled.mechanisms`.
   */
  readonly enabledMechanisms?: readonly SaslMechanism[]
  /** Passwords by user name for PLAIN. Default: nobody. */
  readonly plainUsers?: Readonly<Record<string, string>>
  /** How tokens are checked for OAUTHBEARER. Default: not at all, the mechanism is off. */
  readonly oauth?: OauthOptions
  /**
   * After how many milliseconds a client must authenticate again; 0 = never. Default: the setting
   * `connections.max.reauth.ms`. Source: KIP-368.
   */
  readonly maxReauthMs?: number
}

/** One listener. */
export interface ListenerOptions {
  /** Name: letters, digits, `_` and `-`. Default: the security protocol. */
  readonly name?: string
  /** Address to bind. Default `127.0.0.1`. */
  readonly host?: string
  /** Port to bind. Default 0: the system chooses. */
  readonly port?: number
  /** Host that clients of this listener are told to connect to. Default: `host`, or 127.0.0.1 for a wildcard. */
  readonly advertisedHost?: string
  /** Port that clients of this listener are told to connect to. Default: the port in use. */
  readonly advertisedPort?: number
  /** Default: what the name says, else `PLAINTEXT`. */
  readonly securityProtocol?: SecurityProtocol
  /** Needed for SSL and SASL_SSL. */
  readonly tls?: ListenerTlsOptions
  /** For SASL_PLAINTEXT and SASL_SSL. */
  readonly sasl?: ListenerSaslOptions
}

/** A user for SCRAM, given at the first start. */
export interface ScramUser {
  readonly name: string
  readonly password: string
  /** Default: both. */
  readonly mechanisms?: readonly ('SCRAM-SHA-256' | 'SCRAM-SHA-512')[]
  /** Rounds of PBKDF2, 4_096 to 16_384. Default 8_192. */
  readonly iterations?: number
}
