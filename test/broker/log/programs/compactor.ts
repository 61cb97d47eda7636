/**
 * Appends counters over few keys to a compacted log, which is compacted all the
 * time, and prints each key with its counter once it is acknowledged:
 * `compactor.ts DATA_DIR FIRST`.
 */

import { LogManager } from '../../../../src/broker/log/index.ts'
import { RecordBatchBuilder } from '../../../../src/protocol/index.ts'

const KEY_COUNT = 40
const [dataDir = '', first = '0'] = process.argv.slice(2)
const manager = await LogManager.open({ dataDir, settings: { 'log.cleaner.backoff.ms': '1' } })
const configs = { 'cleanup.policy': 'compact', 'segment.bytes': '1048576', 'min.cleanable.dirty.ratio': '0' }
await manager.createTopic({ name: 't', configs })
const log = manager.log('t', 0)
if (log === undefined) throw new Error('there is no log')
for (let counter = Number(first); ; counter++) {
  const key = counter % KEY_COUNT
  const builder = new RecordBatchBuilder()
  builder.tryAppend(Date.now(), Buffer.from(`key-${key}`), Buffer.from(`${counter} `.padEnd(50_000, 'x')))
  const result = await log.append(builder.build())
  if (result.errorCode !== 0) throw new Error(`append refused with ${result.errorCode}`)
  process.stdout.write(`${key} ${counter} .\n`)
}
