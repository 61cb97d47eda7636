/**
 * Groups of replays that do not run: they ended, or were stopped. What they have left unread waits for nobody, so they
 * are neither late nor stopped. Pure.
 *
 * Such a group has no members, and is called like another group of the cluster with `-replay` at the end, as
 * `comporta replay` and the console name them unless told otherwise. Kafka has no other sign of it: a replay commits
 * like everybody else. One that runs has members, and is judged like other groups.
 */

import type { GroupLag } from '../../ops/index.ts'

const SUFFIX = '-replay'

/** Ids of those among the groups of a look. */
export function restingReplaysOf(groups: readonly GroupLag[]): ReadonlySet<string> {
  const resting = groups.filter(
    ({ groupId, memberCount, problem }) => groupId.endsWith(SUFFIX) && memberCount === 0 && problem === undefined
  )
  if (resting.length === 0) return none
  const ids = new Set(groups.map(({ groupId }) => groupId))
  return new Set(resting.map(({ groupId }) => groupId).filter(id => ids.has(id.slice(0, -SUFFIX.length))))
}

const none: ReadonlySet<string> = new Set()
