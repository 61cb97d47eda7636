/** All error codes of the package: the one list that docs and tests are checked against. */

import { brokerErrorCodes } from './broker.ts'
import { cliErrorCodes } from './cli.ts'
import { clientErrorCodes } from './client.ts'
import { configErrorCodes } from './config.ts'
import { consoleErrorCodes } from './console.ts'
import { coreErrorCodes } from './core.ts'
import { dispatcherErrorCodes } from './dispatcher.ts'
import type { ErrorCodeEntry } from './entry.ts'
import { lambdaErrorCodes } from './lambda.ts'
import { opsErrorCodes } from './ops.ts'
import { producerErrorCodes } from './producer.ts'
import { protocolErrorCodes } from './protocol.ts'

// A function, called once: a bundler can leave out the whole list where nobody reads it.
export const ERROR_CODES = /* @__PURE__ */ (() => ({
  ...coreErrorCodes,
  ...configErrorCodes,
  ...protocolErrorCodes,
  ...brokerErrorCodes,
  ...clientErrorCodes,
  ...producerErrorCodes,
  ...dispatcherErrorCodes,
  ...lambdaErrorCodes,
  ...opsErrorCodes,
  ...consoleErrorCodes,
  ...cliErrorCodes
}))()

/** The closed union of error codes. */
export type ErrorCode = keyof typeof ERROR_CODES

/** The table row of a code. */
export function errorCodeEntry(code: ErrorCode): ErrorCodeEntry {
  return ERROR_CODES[code]
}
