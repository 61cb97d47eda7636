import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { DynamoDbStore } from '../../../src/lambda/idempotency/dynamo-db-store.ts'
import { MemoryStore } from '../../../src/lambda/idempotency/memory-store.ts'
import { SqliteStore } from '../../../src/lambda/idempotency/sqlite-store.ts'
import { claimStoreCases } from '../../support/claim-stores.ts'
import { createClaimTable, startDynalite } from '../../support/dynalite.ts'

claimStoreCases('memory', async () => {
  const store = new MemoryStore()
  return { store, again: () => store }
})

claimStoreCases('SQLite', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-claims-'))
  const file = join(folder, 'claims.sqlite')
  const opened: SqliteStore[] = []
  const again = (): SqliteStore => {
    const store = new SqliteStore({ file })
    opened.push(store)
    return store
  }
  t.after(async () => {
    for (const store of opened) await store.close()
    await rm(folder, { recursive: true, force: true })
  })
  return { store: again(), again }
})

// Started for the whole file: each case has its own keys.
const endpoint = await startDynalite({ after })
await createClaimTable(endpoint, 'claims')

claimStoreCases('dynalite', async t => {
  const again = (): DynamoDbStore => {
    const store = new DynamoDbStore({ table: 'claims', endpoint })
    t.after(() => store.close())
    return store
  }
  return { store: again(), again }
})
