/** DescribeUserScramCredentials, version 0: which users have keys for which mechanism. Source: KIP-554. */

import {
  type DescribeUserScramCredentialsResponseResultInput,
  describeUserScramCredentialsApi
} from '../../protocol/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import { authorizationError } from './authorization.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'
import { repeated } from './repeated.ts'

/** The handler of DescribeUserScramCredentials. */
export const describeUserScramCredentialsHandler = defineHandler({
  api: describeUserScramCredentialsApi,
  handle: (broker, request, caller) => {
    const { scramUsers } = broker
    const refusal = authorizationError(broker, caller, { operation: 'describe', ...CLUSTER })
    if (refusal !== undefined) return { errorCode: errorCode(refusal), errorMessage: errorMessage(refusal) }
    const asked = request.users?.map(user => user.name) ?? []
    const names = asked.length === 0 ? scramUsers.names() : [...new Set(asked)]
    const isTwice = repeated(asked)
    const describe = (user: string): DescribeUserScramCredentialsResponseResultInput => {
      if (isTwice.has(user)) {
        const problem = 'Cannot describe SCRAM credentials for the same user twice in a single request: '
        return { user, errorCode: errorCode('DUPLICATE_RESOURCE'), errorMessage: problem + user }
      }
      const credentialInfos = scramUsers.describe(user)
      if (credentialInfos.length > 0) return { user, credentialInfos }
      const problem = 'Attempt to describe a user credential that does not exist: '
      return { user, errorCode: errorCode('RESOURCE_NOT_FOUND'), errorMessage: problem + user }
    }
    return { results: names.map(describe) }
  },
  fail: (request, code) => ({
    errorCode: code,
    results: (request.users ?? []).map(({ name }) => ({ user: name, errorCode: code }))
  })
})
