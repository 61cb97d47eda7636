/**
 * AlterUserScramCredentials, version 0: adds, replaces and removes the salted
 * keys of users. The client salts the password; it never comes here.
 * Source: KIP-554.
 */

import { messageOf } from '../../core/index.ts'
import {
  alterUserScramCredentialsApi,
  type AlterUserScramCredentialsRequest,
  type AlterUserScramCredentialsResponseInput,
  type KafkaErrorName
} from '../../protocol/index.ts'
import { CLUSTER } from '../security/acls/index.ts'
import { authorizationError } from './authorization.ts'
import { defineHandler, errorCode, errorMessage } from './handler.ts'

/** The handler of AlterUserScramCredentials. */
export const alterUserScramCredentialsHandler = defineHandler({
  api: alterUserScramCredentialsApi,
  handle: async (broker, request, caller) => {
    const { scramUsers, logger } = broker
    const failAll = (error: KafkaErrorName): AlterUserScramCredentialsResponseInput => ({
      results: usersOf(request).map(user => ({
        user,
        errorCode: errorCode(error),
        errorMessage: errorMessage(error)
      }))
    })
    const refusal = authorizationError(broker, caller, { operation: 'alter', ...CLUSTER })
    if (refusal !== undefined) return failAll(refusal)
    try {
      const results = await scramUsers.alter(request.deletions, request.upsertions)
      return {
        results: results.map(({ user, error, message }) => ({
          user,
          errorCode: errorCode(error),
          errorMessage: message
        }))
      }
    } catch (error) {
      logger.error({ reason: messageOf(error) }, 'the users could not be stored')
      return failAll('KAFKA_STORAGE_ERROR')
    }
  },
  fail: (request, code) => ({ results: usersOf(request).map(user => ({ user, errorCode: code })) })
})

function usersOf(request: AlterUserScramCredentialsRequest): string[] {
  return [...new Set([...request.deletions, ...request.upsertions].map(({ name }) => name))]
}
