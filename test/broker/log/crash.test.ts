import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { randomInt } from '../../../src/core/index.ts'
import { LogManager } from '../../../src/broker/log/index.ts'
import { readAll, seededRandom, temporaryFolder } from './support.ts'

const PROGRAMS = path.join(import.meta.dirname, 'programs')
const PARTITIONS = [0, 1, 2]

interface Acknowledged {
  /** Length of the value by offset, for each partition. */
  readonly lengths: readonly Map<bigint, number>[]
}

function start(t: TestContext, program: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [path.join(PROGRAMS, program), ...args], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** Runs the appender, kills it after `count` acknowledgements, and takes every line it had printed by then. */
async function appendUntilKilled(
  t: TestContext,
  args: readonly string[],
  { count, acknowledged }: { count: number; acknowledged: Acknowledged }
): Promise<void> {
  const child = start(t, 'appender.ts', args)
  assert.ok(child.stdout)
  let left = count
  for await (const line of createInterface({ input: child.stdout })) {
    const [partition = '', offset = '', length = ''] = line.split(' ')
    if (partition === 'ready') continue
    // A line that the kill cut short is no acknowledgement that anybody has seen.
    if (length === '') continue
    acknowledged.lengths[Number(partition)]?.set(BigInt(offset), Number(length))
    left -= 1
    if (left === 0) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

test('after kill -9 everything that was acknowledged can be read, again and again', async t => {
  const random = seededRandom(t)
  const folder = await temporaryFolder(t)
  const acknowledged: Acknowledged = { lengths: PARTITIONS.map(() => new Map()) }

  for (let round = 0; round < 4; round++) {
    const seed = String(randomInt(random, 1e9))
    const count = 50 + randomInt(random, 300)
    await appendUntilKilled(t, [folder, seed], { count, acknowledged })

    // A copy is opened, so that the next round goes on from what the crash left.
    const copy = await temporaryFolder(t)
    await fs.cp(folder, copy, { recursive: true })
    const manager = await LogManager.open({ dataDir: copy })
    try {
      assert.equal(manager.wasCleanStop, false)
      for (const partition of PARTITIONS) {
        const log = manager.log('t', partition)
        assert.ok(log)
        const records = await readAll(log)
        assert.deepEqual(
          records.map(([offset]) => offset),
          records.map((_, index) => BigInt(index))
        )
        const lengths = new Map(records.map(([offset, value]) => [offset, value.length]))
        for (const [offset, length] of acknowledged.lengths[partition] ?? []) {
          // The last line of a kill may be cut inside its last number.
          assert.ok(String(lengths.get(offset)).startsWith(String(length)), `partition ${partition} offset ${offset}`)
        }
      }
    } finally {
      await manager.close()
    }
  }
})

test('a second broker on the same folder is refused, naming the process that has it', async t => {
  const folder = await temporaryFolder(t)
  const holder = start(t, 'holder.ts', [folder])
  assert.ok(holder.stdout)
  await once(holder.stdout, 'data')

  await assert.rejects(LogManager.open({ dataDir: folder }), {
    code: 'ERR_BROKER_DATA_DIR_LOCKED',
    message: new RegExp(`process ${holder.pid}\\b`)
  })

  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const manager = await LogManager.open({ dataDir: folder })
  await manager.close()
})
