/**
 * A rebalance takes two rounds at most: what is withheld in the first goes to its new owner in the second.
 *
 * Symptom: groups whose members want different topics went through three or four rounds, and some rebalanced for ever.
 * Cause: the second round placed the withheld partitions anew, and then moved others, which had to be withheld again.
 * Reach: about one in ten thousand changes of random groups; the groups below are the smallest ones found.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkComplete, counts, type Group, held, member, newGroup, settle } from './support.ts'

test('five members with chained subscriptions do not pass partitions around for ever', () => {
  const group = groupOf({ a: 2, b: 1, d: 2 }, [
    ['m1', 'b d', 'd/0'],
    ['m2', 'b d', 'd/1'],
    ['m3', 'a d', 'a/0'],
    ['m4', 'a b', ''],
    ['n1', 'a', '']
  ])

  assert.ok(settle(group) <= 2)
  checkComplete(group, held(group))
})

test('what was withheld does not drive out what another member has kept', () => {
  const group = groupOf({ c: 1, b: 2, e: 3 }, [
    ['m1', 'e c', 'c/0'],
    ['m2', 'c b', 'b/0'],
    ['m3', 'e b', ''],
    ['m5', 'c e', ''],
    ['n2', 'b', '']
  ])

  assert.ok(settle(group) <= 2)
})

test('the second round follows the first in a larger group too', () => {
  const group = groupOf({ a: 2, c: 4, d: 2, e: 4 }, [
    ['m0', 'c a', 'a/0 c/1 c/3'],
    ['m1', 'c e', ''],
    ['m2', 'c a e', 'e/3'],
    ['m3', 'a d', ''],
    ['m4', 'c a', ''],
    ['n0', 'e', '']
  ])

  assert.ok(settle(group) <= 2)
})

/** A group of members given as id, topics and partitions held. */
function groupOf(
  topics: Readonly<Record<string, number>>,
  members: readonly (readonly [string, string, string])[]
): Group {
  const words = (text: string): string[] => text.split(' ').filter(word => word !== '')
  return newGroup(
    members.map(([id, wanted, owned]) => member(id, { topics: words(wanted), owned: words(owned), generation: 1 })),
    counts(topics)
  )
}
