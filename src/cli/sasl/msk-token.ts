/**
 * Tokens of Amazon MSK's IAM: a signed request to `kafka-cluster:Connect`, valid for fifteen minutes.
 *
 * AWS's signer is loaded when the first one is needed, because it brings AWS's
 * credential providers with it.
 */

import type { IamSaslConfig } from '../../config/index.ts'
import { type Clock, briefMessageOf } from '../../core/index.ts'
import { unreachable } from '../certificates/problem.ts'
import type { FetchedToken } from './token-keeper.ts'

/**
 * Signs a token with the role, the profile or AWS's default chain.
 *
 * @param sessionName - Name of an assumed role's session where the file has none.
 * @throws PipelineError `ERR_CLI_CREDENTIALS_UNREACHABLE` if there are no credentials, or the role cannot be assumed.
 */
export async function signMskToken(sasl: IamSaslConfig, sessionName: string, clock: Clock): Promise<FetchedToken> {
  const { region, roleArn, roleSessionName, profile } = sasl
  const signer = await import('aws-msk-iam-sasl-signer-js')
  try {
    const startsAtMs = clock.now()
    const { token, expiryTime } =
      roleArn !== undefined
        ? await signer.generateAuthTokenFromRole({
            region,
            awsRoleArn: roleArn,
            awsRoleSessionName: roleSessionName ?? sessionName
          })
        : profile === undefined
          ? await signer.generateAuthToken({ region })
          : await signer.generateAuthTokenFromProfile({ region, awsProfileName: profile })
    return { value: token, startsAtMs, expiresAtMs: expiryTime }
  } catch (error) {
    throw unreachable(['sasl'], `no credentials of AWS to sign with: ${briefMessageOf(error)}`, error)
  }
}
