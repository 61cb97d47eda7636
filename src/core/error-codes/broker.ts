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
  ERR_BROKER_DATA_DAMAGED: {
    summary: 'A file of the data directory that cannot be rebuilt is damaged.',
    remedy: 'Restore the file the message names, or start with an empty data directory.',
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
  },
  ERR_BROKER_INVALID_FAULT: {
    summary: 'A fault rule names an API or an error that Kafka does not have, or a count that cannot be.',
    remedy: 'Correct the rule given to `broker.faults.inject`; the message says what is wrong with it.',
    retriable: false
  },
  ERR_BROKER_NOT_AUTHENTICATED: {
    summary: 'A client sent a request on a SASL listener before it had authenticated; its connection was closed.',
    remedy: 'Give the client security.protocol=SASL_SSL or SASL_PLAINTEXT, a mechanism and credentials.',
    retriable: false
  },
  ERR_BROKER_SESSION_EXPIRED: {
    summary: 'A client used a connection after its SASL session had ended; its connection was closed.',
    remedy: 'Use a client that authenticates again (KIP-368), or set connections.max.reauth.ms to 0.',
    retriable: true
  },
  ERR_BROKER_DATA_DIR_LOCKED: {
    summary: 'Another broker is using the data folder.',
    remedy: 'Stop the process that the message names, or give this broker a folder of its own.',
    retriable: false
  },
  ERR_BROKER_DATA_DIR_MISMATCH: {
    summary: 'The data folder belongs to another node, or its meta.properties cannot be read.',
    remedy: 'Start the broker with the node id that the message names, or with another folder.',
    retriable: false
  },
  ERR_BROKER_DATA_DIR_FAILED: {
    summary: 'The data folder cannot be read or written.',
    remedy: 'Look at the system error in the message: permissions, free space, or the disk itself.',
    retriable: false
  },
  ERR_BROKER_TOPIC_REGISTRY_CORRUPT: {
    summary: 'The file with the list of topics is damaged.',
    remedy: 'Restore comporta-topics.json, or remove it: it is rebuilt from the folders, without overrides of topics.',
    retriable: false
  }
} as const satisfies Record<`ERR_BROKER_${string}`, ErrorCodeEntry>
