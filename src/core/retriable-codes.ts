/**
 * Which codes are retriable, apart from the tables: those carry the texts of the docs, and a function that is bundled
 * should not. The compiler holds this list to the tables: add a code here when its entry says `retriable: true`.
 */

import type { ERROR_CODES } from './error-codes/index.ts'

type Entries = typeof ERROR_CODES
type RetriableCode = { [Code in keyof Entries]: Entries[Code]['retriable'] extends true ? Code : never }[keyof Entries]

const RETRIABLE = {
  ERR_BROKER_LISTEN_FAILED: true,
  ERR_BROKER_REQUEST_REFUSED: true,
  ERR_BROKER_SESSION_EXPIRED: true,
  ERR_CLIENT_CONNECT_FAILED: true,
  ERR_CLIENT_DISCONNECTED: true,
  ERR_CLIENT_REQUEST_TIMEOUT: true,
  ERR_CLIENT_OVERLOADED: true,
  ERR_CLIENT_RESPONSE_INVALID: true,
  ERR_CLIENT_TOPIC_UNKNOWN: true,
  ERR_CLIENT_RECORDS_CORRUPT: true,
  ERR_CLIENT_DELIVERY_TIMEOUT: true,
  ERR_CLIENT_REBALANCE_IN_PROGRESS: true,
  ERR_CLIENT_TRANSACTION_FAILED: true,
  ERR_PRODUCER_TOPIC_MISSING: true,
  ERR_PRODUCER_DRAINING: true,
  ERR_PRODUCER_DRAIN_TIMEOUT: true,
  ERR_PRODUCER_DELIVERY_FAILED: true,
  ERR_PRODUCER_DEAD_LETTER_FAILED: true,
  ERR_PRODUCER_STATE_LOCKED: true,
  ERR_PRODUCER_STATE_FAILED: true,
  ERR_PRODUCER_BUSY: true,
  ERR_PRODUCER_RATE_EXCEEDED: true,
  ERR_PRODUCER_IDEMPOTENCY_KEY_BUSY: true,
  ERR_PRODUCER_AWAY: true,
  ERR_PRODUCER_SPILL_FAILED: true,
  ERR_DISPATCHER_GROUP_LOST: true,
  ERR_DISPATCHER_STALLED: true,
  ERR_CONSOLE_AUDIT: true,
  ERR_CONSOLE_BUSY: true,
  ERR_CONSOLE_CLUSTER: true,
  ERR_CONSOLE_INSTANCE: true,
  ERR_CONSOLE_LISTEN: true,
  ERR_CONSOLE_OIDC: true,
  ERR_CONSOLE_RATE: true,
  ERR_CLI_PORT: true,
  ERR_CLI_ROLE_FAILED: true,
  ERR_CLI_CREDENTIALS_UNREACHABLE: true,
  ERR_CLI_TIMEOUT: true,
  ERR_CLI_LAMBDA_UNREACHABLE: true,
  ERR_CLI_PRICES: true,
  ERR_OPS_SILENCE: true,
  ERR_OPS_ALERT_FAILED: true,
  ERR_OPS_FLEET_UNREACHABLE: true,
  ERR_OPS_FLEET_LOCKED: true,
  ERR_LAMBDA_IDEMPOTENCY_STORE: true,
  ERR_LAMBDA_KAFKA_BATCH_INCOMPLETE: true
} as const satisfies Record<RetriableCode, true>

/** Whether the table says that a call which failed with this code may succeed later without a change. */
export function isRetriableCode(code: keyof Entries): boolean {
  return Object.hasOwn(RETRIABLE, code)
}
