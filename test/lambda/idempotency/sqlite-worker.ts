/** One of several processes that claim the same batches in one SQLite file. Tells what it claimed, and ends. */

import { createBatchGuard } from '../../../src/lambda/idempotency/create-guard.ts'

const [file = ''] = process.argv.slice(2)
const guard = createBatchGuard({ store: { type: 'sqlite', file }, timeoutMs: 10_000 })
const claimed: string[] = []
for (let from = 0; from < 500; from += 100) {
  const offsets = Array.from({ length: 100 }, (_, index) => from + index)
  const batch = [
    { topic: 'trips', partition: 0, offsets, ids: undefined },
    { topic: 'trips', partition: 1, offsets, ids: offsets.map(offset => `trip-${offset}`) }
  ]
  const claims = await guard.begin(batch, Date.now() + 60_000)
  for (const partition of [0, 1]) {
    for (const [index, offset] of offsets.entries()) {
      if (claims.state(partition, index) === 'claimed') claimed.push(`${partition}-${offset}`)
    }
  }
  await claims.finish(() => ({ isDone: true, targetsDone: [] }))
}
await guard.close()
process.stdout.write(JSON.stringify(claimed))
