/** The distributor with look-ups, metrics and log lines, as a function of the embedded runtime. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startLookupService } from './enrichment/support.ts'
import { readEmf } from './observability-support.ts'
import { batchOf, sdkFor, startRuntime, startService } from './support.ts'

test('records are enriched, routed by what was added, and told of in metrics and log lines', async t => {
  const [vip, others] = [await startService(t), await startService(t)]
  const drivers = await startLookupService(t, ({ path }) => {
    return path === '/drivers/7' ? { body: '{"tier":"gold","km":1234567890123456789.50}' } : { status: 404 }
  })
  const distributor = {
    targets: { vip: vip.url, others: others.url },
    routes: [{ when: { 'driver.tier': ['gold'] }, targets: ['vip'] }],
    otherwise: ['others'],
    enrich: [
      { into: 'driver', key: 'driver_id', from: { type: 'http' as const, url: `${drivers.url}/drivers/{key}` } }
    ],
    observability: { logs: true, metrics: { namespace: 'Trucks' } }
  }
  const functions = { distributor: { handler: 'builtin:distributor', timeoutMs: 30_000, distributor } }
  const client = sdkFor(t, await startRuntime(t, { functions }))
  const event = batchOf([{ driver_id: 7 }, { driver_id: 8 }, {}])

  const { payload, log } = await client.invoke('distributor', event, { LogType: 'Tail' })

  assert.deepEqual(payload, {})
  assert.deepEqual([vip.offsets(), others.offsets()], [[100], [101, 102]])
  assert.match(
    vip.received[0]?.text ?? '',
    /"messages":\[\{"driver_id":7,"driver":\{"tier":"gold","km":1234567890123456789\.50\}\}\]/
  )
  const lines = log.split('\n')
  const documents = lines.filter(line => line.includes('"_aws"')).map(line => readEmf(line.slice(line.indexOf('{'))))
  const batch = documents.find(each => each.metrics['Batches'] !== undefined)
  assert.deepEqual(batch?.dimensions, { service: 'distributor' })
  assert.equal(batch.metrics['RecordsDelivered'], 3)
  const lookups = documents.find(each => each.dimensions['enrichment'] === 'driver')
  assert.deepEqual([lookups?.metrics['CacheMisses'], lookups?.metrics['KeysAbsent']], [2, 1])
  const line = lines.find(each => each.includes('"batch done"')) ?? ''
  assert.partialDeepStrictEqual(JSON.parse(line.slice(line.indexOf('{'))), {
    level: 'INFO',
    service: 'distributor',
    batch: 'mt-c300-3-100-102',
    cold_start: true,
    records: 3
  })

  // A warm environment asks nobody.
  drivers.requests.splice(0)
  await client.invoke('distributor', event)
  assert.equal(drivers.requests.length, 0)
})
