/**
 * Error codes of the room `client`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const clientErrorCodes = {
  ERR_CLIENT_OPTIONS_INVALID: {
    summary: 'An option of the client is missing or out of range.',
    remedy: 'Correct the option that the message names.',
    retriable: false
  },
  ERR_CLIENT_CLOSED: {
    summary: 'The client, or the part of it that was called, is closed.',
    remedy: 'Nothing, when a stop was asked for; otherwise create a new one.',
    retriable: false
  },
  ERR_CLIENT_CONNECT_FAILED: {
    summary: 'No connection to the broker could be made.',
    remedy: 'Check the address, the network and whether the broker expects TLS; the client tries again by itself.',
    retriable: true
  },
  ERR_CLIENT_DISCONNECTED: {
    summary: 'The connection ended while an answer was still expected.',
    remedy: 'Send the request again if it may run twice; look at the log of the broker when it happens often.',
    retriable: true
  },
  ERR_CLIENT_REQUEST_TIMEOUT: {
    summary: 'The broker did not answer in time.',
    remedy: 'Send the request again; raise requestTimeoutMs if the broker is slow but healthy.',
    retriable: true
  },
  ERR_CLIENT_OVERLOADED: {
    summary: 'Too many requests already wait for this connection.',
    remedy: 'Wait for earlier requests before sending more.',
    retriable: true
  },
  ERR_CLIENT_RESPONSE_INVALID: {
    summary: 'The other side sent bytes that are not an answer of the Kafka protocol; the connection was closed.',
    remedy: 'Check that the address is a Kafka listener with the security protocol that is configured.',
    retriable: true
  },
  ERR_CLIENT_VERSION_UNSUPPORTED: {
    summary: 'The broker and this client share no version of an API.',
    remedy: 'Upgrade the broker (Kafka 2.1 or later) or leave out the feature that needs the API.',
    retriable: false
  },
  ERR_CLIENT_AUTHENTICATION_FAILED: {
    summary: 'The broker refused the credentials, or could not prove that it knows them.',
    remedy: 'Check the mechanism, the user name and the secret; nothing is retried with the same credentials.',
    retriable: false
  },
  ERR_CLIENT_KAFKA: {
    summary: 'The broker answered with an error; its name and number are in the message.',
    remedy: 'Look the name up in the protocol guide of Kafka; the error says whether to retry.',
    retriable: false
  },
  ERR_CLIENT_TOPIC_UNKNOWN: {
    summary: 'The topic or the partition does not exist, or may not be seen with these credentials.',
    remedy: 'Create the topic, or correct its name; a topic that was just created may need a moment.',
    retriable: true
  },
  ERR_CLIENT_OFFSET_OUT_OF_RANGE: {
    summary: 'The offset to read from is not in the log: it was removed by retention, or lies beyond the end.',
    remedy: 'Choose where to go on, for example the log start offset, and add the partition again.',
    retriable: false
  },
  ERR_CLIENT_RECORDS_CORRUPT: {
    summary: 'Fetched bytes are not whole, valid record batches.',
    remedy: 'Fetch again; if it persists the log of the broker is damaged at the offset in the message.',
    retriable: true
  },
  ERR_CLIENT_RECORD_TOO_LARGE: {
    summary: 'A single record is larger than the broker or the buffer accepts.',
    remedy: 'Send a smaller record, or raise max.message.bytes of the topic and bufferBytes of the client.',
    retriable: false
  },
  ERR_CLIENT_DELIVERY_TIMEOUT: {
    summary: 'Records could not be delivered within deliveryTimeoutMs; whether they were appended is not known.',
    remedy: 'Look for a partition without a leader or a broker out of reach; then send the records again.',
    retriable: true
  },
  ERR_CLIENT_GENERATION_STALE: {
    summary: 'The group has moved on without this member: its commit was refused, its partitions belong to others.',
    remedy: 'Drop the work in flight; the member joins again by itself.',
    retriable: false
  },
  ERR_CLIENT_REBALANCE_IN_PROGRESS: {
    summary: 'The group rebalances and did not take the commit in time.',
    remedy: 'Commit again after the rebalance, if the partition is still assigned.',
    retriable: true
  },
  ERR_CLIENT_INSTANCE_FENCED: {
    summary: 'Another member uses the same group instance id and has taken over.',
    remedy: 'Give every running member its own groupInstanceId.',
    retriable: false
  },
  ERR_CLIENT_PRODUCER_FENCED: {
    summary: 'Another producer has taken over the transactional id, or the transaction took longer than it may.',
    remedy: 'Give every running instance its own transactional id; raise transactionTimeoutMs if the work is slow.',
    retriable: false
  },
  ERR_CLIENT_TRANSACTION_FAILED: {
    summary: 'The transaction cannot be committed; the cause is attached. Nothing of it counts.',
    remedy: 'Abort it and do its work again in another one.',
    retriable: true
  },
  ERR_CLIENT_TRANSACTION_UNKNOWN: {
    summary: 'The transaction was to be committed, and whether it was can no longer be learned by this producer.',
    remedy: 'Read the committed offsets of the group, waiting out open transactions, and go on from there.',
    retriable: false
  },
  ERR_CLIENT_TRANSACTION_STATE: {
    summary: 'A transactional appender was asked for something that its state does not allow.',
    remedy: 'Begin one transaction at a time, and end it before the next; create a new appender after a fatal error.',
    retriable: false
  },
  ERR_CLIENT_INSTANCE_IN_USE: {
    summary: 'Another member of the group holds this group instance id and has not left.',
    remedy: 'Give every running member its own groupInstanceId; after a crash it is free when the session has ended.',
    retriable: false
  },
  ERR_CLIENT_LISTENER_FAILED: {
    summary: 'A listener of the caller threw an error.',
    remedy: 'Correct the listener; the cause is attached.',
    retriable: false
  }
} as const satisfies Record<`ERR_CLIENT_${string}`, ErrorCodeEntry>
