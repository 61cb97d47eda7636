/**
 * Error codes of the room `broker`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const brokerErrorCodes = {
  ERR_BROKER_LISTEN_FAILED: {
    summary: 'The broker cannot listen on the given address and port.',
    remedy: 'Choose a free port (0 lets the system choose) and an address of this machine.',
    retriable: true
  },
  ERR_BROKER_INVALID_SETTING: {
    summary: 'A broker setting has a value that Kafka does not allow.',
    remedy: 'Correct the setting; the message names it and the allowed values.',
    retriable: false
  },
  ERR_BROKER_INVALID_FRAME: {
    summary: 'A client announced a request length that is negative, too small or above socket.request.max.bytes.',
    remedy: 'Check that the client speaks the Kafka protocol without TLS on this port; its connection was closed.',
    retriable: false
  },
  ERR_BROKER_UNSUPPORTED_REQUEST: {
    summary: 'A client sent an API key or version that the broker does not advertise.',
    remedy: 'Let the client ask ApiVersions first, or use a client that supports Kafka 4; its connection was closed.',
    retriable: false
  },
  ERR_BROKER_REQUEST_REFUSED: {
    summary: 'A request without a response (acks=0) failed, or a fault hook asked for it; the connection was closed.',
    remedy: 'Use acks=all to learn why single records are refused.',
    retriable: true
  }
} as const satisfies Record<`ERR_BROKER_${string}`, ErrorCodeEntry>
