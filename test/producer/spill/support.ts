/** What the tests of the spill share. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A folder for a spill; it goes with the test. */
export async function newSpillFolder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'comporta-spill-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}
