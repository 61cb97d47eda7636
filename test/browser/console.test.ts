/** The console on a live pipeline, as people use it: one pipeline and one browser for all of it. */

import { test } from 'node:test'

import { changes } from './changes.ts'
import { doAll, openDesk } from './desk.ts'
import { groupsAndTopics } from './groups-and-topics.ts'
import { lookAtPages } from './pages.ts'

test('an operator sees and does everything in the browser', async t => {
  const desk = await openDesk(t)
  if (desk === undefined) return
  await lookAtPages(t, desk)
  await doAll(t, desk, groupsAndTopics)
  await doAll(t, desk, changes)
})
