/**
 * Error codes of the room `producer`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const producerErrorCodes = {
  ERR_PRODUCER_TOPIC_MISSING: {
    summary: 'A topic that events go to, or the dead letter topic, does not exist.',
    remedy: 'Create the topics that the message names, or correct their names in `producer`; then start again.',
    retriable: true
  },
  ERR_PRODUCER_DRAINING: {
    summary: 'The producer is stopping and takes no more events.',
    remedy: 'Send the events to another instance, or again after the restart.',
    retriable: true
  },
  ERR_PRODUCER_DRAIN_TIMEOUT: {
    summary: 'The producer had to stop before everything it had read was acknowledged.',
    remedy: 'Feed the source again from the position in the report; raise the drain deadline if the rate limit is low.',
    retriable: true
  },
  ERR_PRODUCER_DELIVERY_FAILED: {
    summary: 'Kafka did not acknowledge events within the delivery timeout, or refused the producer itself.',
    remedy:
      'Look at the cause and at the health of the cluster, then send the events again: they may be stored already.',
    retriable: true
  },
  ERR_PRODUCER_DEAD_LETTER_FAILED: {
    summary: 'An event that cannot be published could not be written to the dead letter topic either.',
    remedy: 'Check that the dead letter topic exists and may be written to, then send the events again.',
    retriable: true
  },
  ERR_PRODUCER_SOURCE_FAILED: {
    summary: 'A source of events could not be opened or read to its end.',
    remedy: 'Check the path, the permissions and the cause; events read before the failure are safe.',
    retriable: false
  },
  ERR_PRODUCER_SOURCE_INVALID: {
    summary: 'The module of a source cannot be imported, or does not make a source.',
    remedy: 'Export `createSource(options)` that returns a Source within 10 s; see docs/guides/sources.md.',
    retriable: false
  },
  ERR_PRODUCER_STATE_INVALID: {
    summary: 'A state file holds something else than the state of this kind of source.',
    remedy: 'Name the right file, or remove it to begin anew, which publishes again what was published.',
    retriable: false
  },
  ERR_PRODUCER_STATE_LOCKED: {
    summary: 'A state file is in use by another source.',
    remedy: 'Stop the other process, or give every source a state file of its own.',
    retriable: true
  },
  ERR_PRODUCER_STATE_FAILED: {
    summary: 'A state file cannot be read or written.',
    remedy:
      'Check its folder, permissions and the space on the disk; what was read since is read again at the next start.',
    retriable: true
  },
  ERR_PRODUCER_STATE_MISMATCH: {
    summary: 'The input of a source is not the one that its state belongs to: replaced, truncated or changed.',
    remedy: 'Give it the right input, or begin anew with `--restart` or `state.onChange: restart`.',
    retriable: false
  },
  ERR_PRODUCER_FENCED: {
    summary: 'Another producer has started with the same transactional id: this one commits nothing any more.',
    remedy: 'Run one producer with a `delivery.transaction.id` at a time; start this one when the other has ended.',
    retriable: false
  },
  ERR_PRODUCER_TRANSACTION: {
    summary: 'Transactions cannot go on: refused by Kafka, unknown in their outcome, or without readable positions.',
    remedy: 'Look at the cause, then start the producer again: it goes on from what was committed.',
    retriable: false
  },
  ERR_PRODUCER_SOURCE_LOOP: {
    summary: 'A Kafka source reads a topic that the pipeline writes: its events would go round for ever.',
    remedy: 'Read another topic, or route the events to other topics.',
    retriable: false
  },
  ERR_PRODUCER_LISTEN_FAILED: {
    summary: 'The HTTP source could not listen on its address.',
    remedy: 'Choose another port, or stop the program that uses it.',
    retriable: false
  },
  ERR_PRODUCER_BODY_TOO_LARGE: {
    summary: 'The body of an HTTP request is larger than the source takes.',
    remedy: 'Send fewer events in one request, or raise bodyBytesMax.',
    retriable: false
  },
  ERR_PRODUCER_BODY_INVALID: {
    summary: 'The body of an HTTP request cannot be read as events.',
    remedy:
      'Send a JSON object, a JSON array of objects, or one object a line; only gzip is understood as an encoding.',
    retriable: false
  },
  ERR_PRODUCER_CONTENT_TYPE: {
    summary: 'The content type of an HTTP request is not one the source takes.',
    remedy: 'Send `content-type: application/json` or `application/x-ndjson`.',
    retriable: false
  },
  ERR_PRODUCER_BUSY: {
    summary: 'Too many events already wait for Kafka.',
    remedy: 'Send the same request again after the time in Retry-After.',
    retriable: true
  },
  ERR_PRODUCER_RATE_EXCEEDED: {
    summary: 'More events came than the rate limit allows, and `whenExceeded` is `shed`.',
    remedy: 'Send the same request again after the time in Retry-After, more slowly, or raise the limit.',
    retriable: true
  },
  ERR_PRODUCER_QUOTA_FAILED: {
    summary: 'The quota that holds the rate of all instances could not be set.',
    remedy: 'Give the producer the right to alter the configuration of the cluster, or set the quota yourself.',
    retriable: false
  },
  ERR_PRODUCER_UNAUTHORIZED: {
    summary: 'An HTTP request does not have the bearer token of the source.',
    remedy: 'Send `authorization: Bearer <token>` with the token of the pipeline file.',
    retriable: false
  },
  ERR_PRODUCER_IDEMPOTENCY_KEY_INVALID: {
    summary: 'The Idempotency-Key of an HTTP request is empty, too long, or has other than visible ASCII characters.',
    remedy: 'Send a random key, for example a UUID, of at most 255 characters.',
    retriable: false
  },
  ERR_PRODUCER_IDEMPOTENCY_KEY_REUSED: {
    summary: 'An Idempotency-Key came a second time with another body.',
    remedy: 'Use a key for one request and its repetitions only; send new events with a new key.',
    retriable: false
  },
  ERR_PRODUCER_IDEMPOTENCY_KEY_BUSY: {
    summary: 'A request came again while the first one with the same Idempotency-Key is still under way.',
    remedy: 'Send the same request again after the time in Retry-After: the answer is then that of the first one.',
    retriable: true
  },
  ERR_PRODUCER_AWAY: {
    summary: 'Kafka does not acknowledge records, and `producer.whenAway.mode` says to refuse events meanwhile.',
    remedy: 'Send the same request again after the time in Retry-After; look at the health of the cluster.',
    retriable: true
  },
  ERR_PRODUCER_SPILL_LOCKED: {
    summary: 'Another producer uses the spill folder.',
    remedy: 'Stop the other producer, or give each its own `producer.spill.dir`.',
    retriable: false
  },
  ERR_PRODUCER_SPILL_FAILED: {
    summary: 'The spill folder cannot be read or written.',
    remedy: 'Look at the cause: free space on the disk, or correct the rights of the folder; then start again.',
    retriable: true
  },
  ERR_PRODUCER_SPILL_CORRUPT: {
    summary: 'Bytes of a spilled segment are damaged or missing; what is sound is replayed.',
    remedy:
      'Look for errors of the disk. The damaged file is kept with the suffix .corrupt; publish the records of the ' +
      'named range again from where they came from, then remove the file.',
    retriable: false
  }
} as const satisfies Record<`ERR_PRODUCER_${string}`, ErrorCodeEntry>
