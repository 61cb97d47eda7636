/** Patterns that clients send: what they may cost the broker's one thread. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { topicRegexProblem } from '../../../src/broker/groups/index.ts'
import { matchingTopics } from '../../../src/broker/groups/topic-regex.ts'

test('patterns as people write them are taken, long lists and repetitions among them', () => {
  const list = Array.from({ length: 150 }, (_each, index) => `orders-${index}`).join('|')
  for (const pattern of [
    '.*',
    '[a-z0-9]{1,249}',
    String.raw`(prod|stage)-[a-z]{2,40}\.v[0-9]{1,3}`,
    list,
    'a{1,1000}'
  ]) {
    assert.equal(topicRegexProblem(pattern), undefined, pattern)
  }
  assert.deepEqual(matchingTopics('a{2,3}|b', ['b', 'aaa', 'a', 'aaaa']), ['aaa', 'b'])
})

/*
 * Symptom: one ConsumerGroupHeartbeat or ListTransactions with a pattern of
 * 10,000 characters stopped the broker for half a minute and took 240 MB; 1000
 * such patterns were kept. Cause: only the length of the text was limited. Reach:
 * whoever may connect, since ListTransactions needs no right.
 */
test('a pattern that would stop the broker is refused without being compiled', () => {
  const hostile = [
    String.raw`\pL{1000}`.repeat(1100),
    '(a|b|c){0,1000}'.repeat(10),
    `(${'ab|cd?'.repeat(1000)}){1000}`,
    `${'(x?)'.repeat(2000)}y`
  ]
  for (const pattern of hostile) {
    const startedMs = performance.now()
    assert.match(topicRegexProblem(pattern) ?? '', /too large/)
    assert.ok(performance.now() - startedMs < 1000)
  }
})
