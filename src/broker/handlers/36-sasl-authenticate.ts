/**
 * SaslAuthenticate, versions 0 to 2, where it has no business: on a listener
 * without SASL, or when the client is authenticated. Where it has, the gate of
 * the connection answers it (`sasl-gate.ts`).
 */

import { saslAuthenticateApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

const TOO_LATE = 'SaslAuthenticate request received after successful authentication'

/** The handler of SaslAuthenticate. */
export const saslAuthenticateHandler = defineHandler({
  api: saslAuthenticateApi,
  handle: () => ({ errorCode: errorCode('ILLEGAL_SASL_STATE'), errorMessage: TOO_LATE }),
  fail: (_request, code) => ({ errorCode: code })
})
