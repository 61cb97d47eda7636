/** A broker's log that is killed while it is compacted, again and again on the same folder. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { randomInt } from '../../../../src/core/index.ts'
import { LogManager } from '../../../../src/broker/log/index.ts'
import { spawnBound } from '../../../support/child-process.ts'
import { cleanUp, seededRandom, temporaryFolder } from '../support.ts'
import { consume } from './support.ts'

const PROGRAM = path.join(import.meta.dirname, '../programs/compactor.ts')
const ROUNDS = process.env['CRASH'] === 'long' ? 30 : 3

test('after kill -9 beside a compaction the last acknowledged value of every key is there', async t => {
  const random = seededRandom(t)
  const dataDir = await temporaryFolder(t)
  const acknowledged = new Map<string, number>()
  let first = 0
  let compactions = 0
  for (let round = 0; round < ROUNDS; round++) {
    const child = spawnBound(process.execPath, [PROGRAM, dataDir, String(first)])
    assert.ok(child.stdout)
    child.stderr?.pipe(process.stderr)
    let left = 100 + randomInt(random, 200)
    for await (const line of createInterface({ input: child.stdout })) {
      const [key = '', counter = '', end] = line.split(' ')
      if (end !== '.') continue
      acknowledged.set(`key-${key}`, Number(counter))
      first = Number(counter) + 1
      left -= 1
      if (left === 0) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close')

    const manager = await LogManager.open({ dataDir, settings: { 'log.cleaner.enable': 'false' } })
    cleanUp(t, () => manager.close())
    const log = manager.log('t', 0)
    assert.ok(log)
    const last = new Map<string, number>()
    const seen = await consume(log, { bytesMax: 1 << 20 })
    for (const { key, value } of seen) {
      const counter = Number(value?.split(' ')[0])
      assert.ok(counter > (last.get(String(key)) ?? -1), `${key} goes back to ${counter}`)
      last.set(String(key), counter)
    }
    for (const [key, counter] of acknowledged) {
      assert.ok((last.get(key) ?? -1) >= counter, `${key} is ${last.get(key)}, ${counter} was acknowledged`)
    }
    if (BigInt(seen.length) < log.highWatermark) compactions += 1
    // What the killed process wrote without a word counts as written.
    first = Math.max(first, ...last.values()) + 1
    await manager.close()
  }
  t.diagnostic(`${compactions} of ${ROUNDS} rounds found a compacted log`)
  assert.ok(compactions > 0)
})
