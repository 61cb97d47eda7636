/** A marker that comes while a flush is under way. */

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import { test } from 'node:test'
import { systemDisk } from '../../../src/broker/log/disk.ts'
import { FilePool } from '../../../src/broker/log/file-pool.ts'
import { Segment } from '../../../src/broker/log/segment.ts'
import { START_MS, temporaryFolder } from './support.ts'

test('the first abort of a segment that comes during a flush does not fail the flush', async t => {
  // Symptom: the partition went offline, "no such file or directory, open …txnindex". Cause: the flush had saved the
  // indexes before the marker, and made a file durable afterwards that was not made yet. Found by the crash fuzzer.
  const pool = new FilePool({ openMax: 8, disk: systemDisk })
  t.after(() => pool.close())
  const segment = new Segment(await temporaryFolder(t), 0n, START_MS)
  await segment.createFiles(pool)
  segment.resetIndexes()

  await segment.saveIndexes(pool)
  segment.noteAborted({ producerId: 1n, firstOffset: 0n, lastOffset: 3n, lastStableOffset: 4n })
  await segment.sync(pool)
  await segment.saveIndexes(pool)
  await segment.sync(pool)

  assert.equal((await fs.stat(segment.transactionIndexPath)).size, 34)
})
