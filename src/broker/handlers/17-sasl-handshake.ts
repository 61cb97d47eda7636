/**
 * SaslHandshake, versions 0 and 1, where it has no business: on a listener
 * without SASL, or when the client is authenticated and its session has no end.
 * Where it has, the gate of the connection answers it (`sasl-gate.ts`).
 */

import { saslHandshakeApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

/** The handler of SaslHandshake. */
export const saslHandshakeHandler = defineHandler({
  api: saslHandshakeApi,
  handle: () => ({ errorCode: errorCode('ILLEGAL_SASL_STATE') }),
  fail: (_request, code) => ({ errorCode: code })
})
