/**
 * Error codes of the rooms `dispatcher` and `targets`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const dispatcherErrorCodes = {
  ERR_DISPATCHER_OFFSET_NOT_IN_FLIGHT: {
    summary: 'A record was reported as finished that is not being worked on.',
    remedy: 'Report it with the log lines before it; the partition has been given up, nothing was committed for it.',
    retriable: false
  },
  ERR_DISPATCHER_TARGET_INVALID: {
    summary: 'A target cannot be made from its configuration.',
    remedy: 'Correct what the message names in `dispatcher.target` of the pipeline file, then start again.',
    retriable: false
  },
  ERR_DISPATCHER_REPLAY_INVALID: {
    summary: 'A replay cannot be planned or begun as asked.',
    remedy: 'Correct what the message names: the topic, the bounds, or the group, which must have no members.',
    retriable: false
  },
  ERR_DISPATCHER_TRANSFORM_INVALID: {
    summary: 'The module of `dispatcher.transform` cannot be used.',
    remedy: 'Name a file that can be imported and exports a function `transform`; the message says what is wrong.',
    retriable: false
  },
  ERR_DISPATCHER_DEAD_LETTER_LOOP: {
    summary: 'The dead letter topic is one of the topics that the dispatcher reads.',
    remedy:
      'Choose a dead letter topic outside of `dispatcher.topics`, otherwise every bad record comes back for ever.',
    retriable: false
  },
  ERR_DISPATCHER_RETRY_TOPICS: {
    summary: 'Retry topics are missing or have fewer partitions than their origin, and cannot be created.',
    remedy: 'Run the commands that the message names, or allow the dispatcher to create topics (`retry.createTopics`).',
    retriable: false
  },
  ERR_DISPATCHER_GROUP_LOST: {
    summary: 'The dispatcher has ended because its membership in the consumer group has ended.',
    remedy: 'Look at the cause; restart the dispatcher. Offsets of everything it delivered are committed or fenced.',
    retriable: true
  },
  ERR_DISPATCHER_STALLED: {
    summary: 'A partition with work to do has made no progress for `progressTimeoutMs`, and nothing explains it.',
    remedy:
      'Have the process started again: it has left the group, so others serve its partitions. Nothing unfinished was ' +
      'committed. Report it with the log lines before it.',
    retriable: true
  },
  ERR_DISPATCHER_NOT_CHANGEABLE: {
    summary: 'A setting was changed that a running dispatcher cannot change.',
    remedy:
      'Take the settings that the message names out of the change, or restart the dispatcher. Nothing has changed.',
    retriable: false
  }
} as const satisfies Record<`ERR_DISPATCHER_${string}`, ErrorCodeEntry>
