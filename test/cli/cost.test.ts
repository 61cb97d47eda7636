import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { runComporta, temporaryFolder } from '../support/comporta.ts'

const offer = JSON.stringify({
  products: { A: { attributes: { usagetype: 'EUW1-Kafka.m7g.large' } } },
  terms: {
    OnDemand: {
      A: { B: { priceDimensions: { C: { beginRange: '0', endRange: 'Inf', pricePerUnit: { USD: '0.5' } } } } }
    }
  }
})

test('a price list is fetched, and the bill goes by it', async t => {
  const folder = temporaryFolder(t)
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(request.url?.includes('/eu-west-1/') === true ? 200 : 404).end(offer)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  // A server that listens on a port has an address of this kind.
  const from = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const out = join(folder, 'prices.json')

  const refreshed = await runComporta(['cost', 'refresh', '--region', 'eu-west-1', '--from', from, '--out', out])
  assert.equal(refreshed.exitCode, 0, refreshed.stderr)
  assert.match(refreshed.stdout, /not in AWS’s list, kept as it was: kafka\.brokerHour\.m5\.large/)
  assert.deepEqual(asked, [
    '/offers/v1.0/aws/AmazonMSK/current/eu-west-1/index.json',
    '/offers/v1.0/aws/AWSLambda/current/eu-west-1/index.json',
    '/offers/v1.0/aws/AmazonECS/current/eu-west-1/index.json'
  ])
  assert.match(readFileSync(out, 'utf8'), /"m7g\.large": 0\.5/)

  const unknown = await runComporta(['cost', 'refresh', '--region', 'eu-west-9', '--from', from, '--json'])
  assert.equal(unknown.exitCode, 69)
  assert.equal(
    (JSON.parse(unknown.stderr.split('\n').find(line => line.startsWith('{')) ?? '{}') as { error?: { code?: string } })
      .error?.code,
    'ERR_CLI_PRICES'
  )

  const bill = await runComporta(['cost', '--prices', out, '--instance', 'm7g.large', '--json'], { cwd: folder })
  assert.equal(bill.exitCode, 0, bill.stderr)
  const { report } = JSON.parse(bill.stdout) as { report: { lines: { item: string; monthly: number }[] } }
  assert.equal(report.lines.find(({ item }) => item === '3 × kafka.m7g.large')?.monthly, 3 * 730 * 0.5)
})
