/**
 * What can be said of certificates and secrets before anything is started, without a network: files and variables are
 * there, certificate and key belong together, nothing has ended. Places in AWS are read at the start only.
 */

import type { KafkaConfig, SecretText, SourceOfCredentials, TlsConfig } from '../../config/index.ts'
import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import { readUser } from '../sasl/open-sasl.ts'
import { readTokenFile } from '../sasl/token-file.ts'
import { expiryWarning, readParts } from './open-tls.ts'
import type { CredentialProblem } from './problem.ts'
import { isRemote, SourceReader, type SourceRound, type Variables } from './source-reader.ts'
import { verifyTls } from './verify-tls.ts'

/** What was found. */
export interface CredentialCheck {
  readonly problems: readonly CredentialProblem[]
  /** What will be a problem: certificates that are about to end. */
  readonly warnings: readonly string[]
}

/** Looks at everything that `kafka:` names on this machine. */
export async function checkCredentials(
  kafka: KafkaConfig,
  { environment, clock }: { readonly environment: Variables; readonly clock: Clock }
): Promise<CredentialCheck> {
  const round = new SourceReader(environment).round()
  const tls = typeof kafka.tls === 'object' ? await checkTls(kafka.tls, round, clock) : { problems: [], warnings: [] }
  const sasl = kafka.sasl === undefined ? [] : await problemsOf(['sasl'], checkSasl(kafka.sasl, round, clock))
  return { problems: [...tls.problems, ...sasl], warnings: tls.warnings }
}

/** Authorities on their own; certificate, key and passphrase together, if all of them can be read here. */
async function checkTls(tls: TlsConfig, round: SourceRound, clock: Clock): Promise<CredentialCheck> {
  const { ca, cert, key, pfx, passphrase, expiryWarningDays } = tls
  const groups = [
    { ca, expiryWarningDays },
    { cert, key, pfx, passphrase, expiryWarningDays }
  ]
  const problems: CredentialProblem[] = []
  const warnings: string[] = []
  for (const group of groups) {
    if (Object.values(group).some(source => typeof source === 'object' && isRemote(source))) continue
    const nowMs = clock.now()
    const look = async (): Promise<void> => {
      const verdict = verifyTls(await readParts(group, round), nowMs)
      if (verdict.kind === 'refused') problems.push(...verdict.problems)
      else warnings.push(...verdict.expiries.flatMap(each => expiryWarning(each, expiryWarningDays, nowMs) ?? []))
    }
    problems.push(...(await problemsOf(['tls'], look())))
  }
  return { problems, warnings }
}

async function checkSasl(sasl: NonNullable<KafkaConfig['sasl']>, round: SourceRound, clock: Clock): Promise<void> {
  const isHere = (source: SecretText | SourceOfCredentials | undefined): boolean =>
    typeof source !== 'object' || !isRemote(source)
  switch (sasl.mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512':
      if ([sasl.username, sasl.password, sasl.credentials].every(isHere)) await readUser(sasl, round)
      return
    case 'OAUTHBEARER':
      if (sasl.tokenFile !== undefined) await readTokenFile(sasl.tokenFile, clock)
      if (sasl.clientSecret !== undefined && isHere(sasl.clientSecret)) {
        await round.text(sasl.clientSecret, ['sasl', 'clientSecret'])
      }
      return
    case 'AWS_MSK_IAM':
      return
  }
}

/** What a look has thrown, as problems. */
async function problemsOf(path: readonly string[], look: Promise<void>): Promise<readonly CredentialProblem[]> {
  try {
    await look
    return []
  } catch (error) {
    const problems = PipelineError.is(error) ? error.fields['problems'] : undefined
    // Ours: `unusable` and `unreachable` put them there.
    return Array.isArray(problems) ? (problems as readonly CredentialProblem[]) : [{ path, reason: messageOf(error) }]
  }
}
