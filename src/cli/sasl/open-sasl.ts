/** `kafka.sasl` as options of the client: secrets read and watched, tokens fetched and kept fresh. */

import { createHash } from 'node:crypto'

import type { OauthToken, SaslOptions, UserCredentials } from '../../client/index.ts'
import type {
  BearerSaslConfig,
  IamSaslConfig,
  KafkaConfig,
  PasswordSaslConfig,
  SecretText,
  SourceOfCredentials
} from '../../config/index.ts'
import { systemRandom } from '../../core/index.ts'
import { type CredentialContext, reloadCounter, reloadMsOf } from '../certificates/open-tls.ts'
import { unusable } from '../certificates/problem.ts'
import { nameOf, type SourceRound } from '../certificates/source-reader.ts'
import { type Reading, Watched } from '../certificates/watched.ts'
import { signMskToken } from './msk-token.ts'
import type { RefreshWindows } from './refresh-time.ts'
import { fetchToken } from './token-endpoint.ts'
import { readTokenFile } from './token-file.ts'
import { type FetchedToken, TokenKeeper } from './token-keeper.ts'

/** As the settings of OAUTHBEARER are by default. A token of MSK lives fifteen minutes: fetched anew after ten. */
const IAM_WINDOWS: RefreshWindows = { windowFactor: 0.8, windowJitter: 0.05, minPeriodMs: 60_000, bufferMs: 300_000 }

/** SASL options, and what ends what they need. */
export interface OpenSasl {
  readonly options: SaslOptions
  close(): void
}

/**
 * Reads what the pipeline file says of authentication.
 *
 * @param clientName - Name of an assumed role's session, where the file has none.
 * @throws PipelineError `ERR_CONFIG_CREDENTIALS`, `ERR_CLI_CREDENTIALS_UNREACHABLE`.
 */
export async function openSasl(
  sasl: NonNullable<KafkaConfig['sasl']>,
  clientName: string,
  context: CredentialContext
): Promise<OpenSasl> {
  switch (sasl.mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512':
      return { options: await openPassword(sasl, context), close: () => undefined }
    case 'OAUTHBEARER':
      return openBearer(sasl, context)
    case 'AWS_MSK_IAM':
      return openIam(sasl, clientName, context)
  }
}

async function openPassword(sasl: PasswordSaslConfig, context: CredentialContext): Promise<SaslOptions> {
  const { mechanism, username = '', password = '' } = sasl
  const sources = sourcesOf(sasl)
  if (typeof username === 'string' && typeof password === 'string' && sources.length === 0) {
    return { mechanism, username, password }
  }
  const credentials = await Watched.open<UserCredentials>({
    what: 'the credentials of kafka.sasl',
    material: 'sasl',
    read: () => readUser(sasl, context.reader.round()),
    everyMs: reloadMsOf(sources, sasl.reloadMs),
    clock: context.clock,
    logger: context.logger,
    reloads: reloadCounter(context.meter)
  })
  return { mechanism, credentials }
}

function sourcesOf({ username, password, credentials }: PasswordSaslConfig): SourceOfCredentials[] {
  const isSource = (value: SecretText | undefined): value is SourceOfCredentials =>
    value !== undefined && typeof value !== 'string'
  return [username, password, credentials].filter(isSource)
}

/** User and password, read together. */
export async function readUser(sasl: PasswordSaslConfig, round: SourceRound): Promise<Reading<UserCredentials>> {
  const { credentials, username = '', password = '' } = sasl
  const value =
    credentials === undefined
      ? {
          username: await round.text(username, ['sasl', 'username']),
          password: await round.text(password, ['sasl', 'password'])
        }
      : await readPair(credentials, round)
  return { value, fingerprint: createHash('sha256').update(JSON.stringify(value)).digest('hex') }
}

async function readPair(source: SourceOfCredentials, round: SourceRound): Promise<UserCredentials> {
  const path = ['sasl', 'credentials']
  const { username, password } = await round.members(source, path)
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
  if (isText(username) && isText(password)) return { username, password }
  const missing = isText(username) ? 'password' : 'username'
  throw unusable([{ path, reason: `${nameOf(source)} has no text in its member "${missing}"` }])
}

function openBearer(sasl: BearerSaslConfig, context: CredentialContext): OpenSasl {
  const { token, tokenFile, extensions, clientSecret } = sasl
  const { clock, reader } = context
  const withExtensions = (value: string): OauthToken => ({ value, ...(extensions === undefined ? {} : { extensions }) })
  const fixed = (read: () => Promise<string>): OpenSasl => ({
    options: { mechanism: 'OAUTHBEARER', token: async () => withExtensions(await read()) },
    close: () => undefined
  })
  if (token !== undefined) return fixed(() => Promise.resolve(token))
  if (tokenFile !== undefined) return fixed(() => readTokenFile(tokenFile, clock))
  const fetchOne = async (): Promise<FetchedToken> => {
    // Read for every token: a secret that was replaced is the one to show.
    const secret = await reader.round().text(clientSecret ?? '', ['sasl', 'clientSecret'])
    return await fetchToken({ sasl, clientSecret: secret, clock })
  }
  const keeper = new TokenKeeper({ ...context, random: systemRandom, fetch: fetchOne, windows: sasl.refresh })
  return {
    options: { mechanism: 'OAUTHBEARER', token: async () => withExtensions(await keeper.token()) },
    close: () => keeper.close()
  }
}

function openIam(sasl: IamSaslConfig, clientName: string, context: CredentialContext): OpenSasl {
  const sessionName = clientName.replaceAll(/[^\w+=,.@-]/g, '-').slice(0, 64)
  const keeper = new TokenKeeper({
    ...context,
    random: systemRandom,
    fetch: () => signMskToken(sasl, sessionName, context.clock),
    windows: IAM_WINDOWS
  })
  return {
    options: { mechanism: 'OAUTHBEARER', token: async () => ({ value: await keeper.token() }) },
    close: () => keeper.close()
  }
}
