/**
 * Appends to a data folder until it is killed, and prints a line for every
 * acknowledgement: `partition offset value`. Arguments: folder, seed.
 */

import { randomInt, SeededRandom } from '../../../../src/core/index.ts'
import { RecordBatchBuilder } from '../../../../src/protocol/index.ts'
import { LogManager } from '../../../../src/broker/log/index.ts'

const [folder = '', seed = '1'] = process.argv.slice(2)
const random = new SeededRandom(Number(seed))
// Small limits, so that rolls, flushes, checkpoints and index writes all happen again and again.
const manager = await LogManager.open({
  dataDir: folder,
  recoveryBytesMax: 200_000,
  settings: { 'log.index.interval.bytes': '512', 'log.segment.bytes': '1048576' }
})
if (manager.topic('t') === undefined) await manager.createTopic({ name: 't', partitionCount: 3 })
const start = await Promise.all([0, 1, 2].map(async partition => Number(manager.log('t', partition)?.highWatermark)))
process.stdout.write(`ready ${start.join(' ')}\n`)

async function append(partition: number): Promise<void> {
  for (let index = 0; ; index++) {
    const value = `${partition}-${index}-`.padEnd(20 + randomInt(random, 30_000), 'x')
    const builder = new RecordBatchBuilder()
    builder.tryAppend(1_700_000_000_000 + index, null, Buffer.from(value))
    const result = await manager.log('t', partition)?.append(Buffer.from(builder.build()))
    if (result?.errorCode !== 0 || !('baseOffset' in result)) throw new Error(`append failed: ${result?.errorCode}`)
    // Synchronous: the line has left this process before anything else is appended.
    process.stdout.write(`${partition} ${result.baseOffset} ${value.length}\n`)
  }
}

// Two writers per partition, so that group commits happen.
await Promise.all([0, 1, 2, 0, 1, 2].map(append))
