import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dispatcherConfig } from '../../src/config/index.ts'
import { topicsNamedIn, warnOfMissingTopics } from '../../src/dispatcher/missing-topics.ts'
import { type Logger, silentLogger } from '../../src/telemetry/index.ts'

test('each topic that cannot be seen is named once, with what waits for it', () => {
  const config = dispatcherConfig({
    groupId: 'g',
    topics: ['here', 'absent'],
    deadLetterTopic: 'dead',
    target: { type: 'topic', topic: 'secret' }
  })
  assert.deepEqual(topicsNamedIn(config), ['here', 'absent', 'dead', 'secret'])

  const said: string[] = []
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void said.push(message) }
  const answers = [
    { topic: 'here', errorCode: 0 },
    { topic: 'absent', errorCode: 3 }, // UNKNOWN_TOPIC_OR_PARTITION
    { topic: 'secret', errorCode: 29 } // TOPIC_AUTHORIZATION_FAILED; nothing is said of `dead`
  ]
  warnOfMissingTopics(config, answers, logger)
  assert.deepEqual(said, [
    'nothing is dispatched of a topic until it is there: it does not exist',
    'a partition with a bad record waits for the dead letter topic: it does not exist',
    'everything waits for the topic of the target: it cannot be seen (TOPIC_AUTHORIZATION_FAILED)'
  ])
})
