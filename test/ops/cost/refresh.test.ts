import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError } from '../../../src/core/index.ts'
import { PRICES, type PriceTier, readPriceList } from '../../../src/ops/cost/prices.ts'
import { readOffer, refreshPrices } from '../../../src/ops/cost/refresh.ts'

interface Sold {
  readonly usagetype: string
  readonly tiers: readonly (readonly [begin: string, end: string, usd: string])[]
}

/** An offer file of AWS, as the Price List Bulk API gives it. */
function offer(sold: readonly Sold[]): string {
  const skus = sold.map((_, index) => `SKU${index}`)
  return JSON.stringify({
    formatVersion: 'v1.0',
    publicationDate: '2026-11-01T00:00:00Z',
    products: Object.fromEntries(
      sold.map(({ usagetype }, index) => [
        skus[index],
        { sku: skus[index], productFamily: 'Serverless', attributes: { usagetype, regionCode: 'sa-east-1' } }
      ])
    ),
    terms: {
      OnDemand: Object.fromEntries(
        sold.map(({ tiers }, index) => [
          skus[index],
          {
            [`${skus[index]}.JRTCKXETXF`]: {
              priceDimensions: Object.fromEntries(
                tiers.map(([beginRange, endRange, USD], place) => [
                  `${skus[index]}.${place}`,
                  { beginRange, endRange, pricePerUnit: { USD } }
                ])
              )
            }
          }
        ])
      )
    }
  })
}

const once = (usagetype: string, usd: string): Sold => ({ usagetype, tiers: [['0', 'Inf', usd]] })

test('prices are found by usage type, with the region’s prefix, and the rest stays and is named', () => {
  const none: ReadonlyMap<string, readonly PriceTier[]> = new Map()
  const offers = {
    AmazonMSK: readOffer(
      offer([once('SAE1-Kafka.m7g.large', '0.3400000000'), once('SAE1-Kafka.Storage.GP2', '0.1900000000')]),
      'AmazonMSK'
    ),
    AWSLambda: readOffer(
      offer([
        once('SAE1-Request', '0.0000002000'),
        {
          usagetype: 'SAE1-Lambda-GB-Second',
          // Not in order, as AWS gives them.
          tiers: [
            ['6000000000', 'Inf', '0.0000150000'],
            ['0', '6000000000', '0.0000166667']
          ]
        }
      ]),
      'AWSLambda'
    ),
    AmazonECS: none
  }
  const { prices, missing, changed } = refreshPrices(offers, PRICES, { region: 'sa-east-1', date: '2026-11-21' })
  assert.equal(prices.kafka.brokerHour['m7g.large'], 0.34)
  assert.equal(prices.kafka.storageGiBMonth, 0.19)
  assert.equal(prices.kafka.brokerHour['m5.large'], PRICES.kafka.brokerHour['m5.large'])
  assert.equal(prices.lambda.requestsMillion, 0.2)
  assert.deepEqual(prices.lambda.gbSecond.x86_64, [
    { upTo: 6e9, price: 0.0000166667 },
    { upTo: null, price: 0.000015 }
  ])
  assert.equal(changed, 3)
  assert.ok(missing.includes('kafka.brokerHour.m5.large'))
  assert.ok(missing.includes('fargate.arm64.vcpuHour'))
  assert.ok(!missing.includes('kafka.storageGiBMonth'))
  assert.equal(prices.region, 'sa-east-1')
  assert.deepEqual(readPriceList(JSON.stringify(prices), 'new'), prices)
})

test('us-east-1 has usage types without a prefix, and those of ARM are not taken for the others', () => {
  const found = readOffer(
    offer([once('Lambda-GB-Second-ARM', '0.0000133334'), once('Lambda-GB-Second', '0.0000166667')]),
    'AWSLambda'
  )
  const offers = { AmazonMSK: new Map(), AWSLambda: found, AmazonECS: new Map() }
  const { prices } = refreshPrices(offers, PRICES, { region: 'us-east-1', date: '2026-11-21' })
  assert.equal(prices.lambda.gbSecond.x86_64[0]?.price, 0.0000166667)
  assert.equal(prices.lambda.gbSecond.arm64[0]?.price, 0.0000133334)
})

test('what is not an offer file is refused', () => {
  for (const text of ['', '<html>', '{}', '[]', '{"products":{},"terms":{}}', '{"products":{"A":{}}}']) {
    assert.throws(
      () => readOffer(text, 'AmazonMSK'),
      (error: unknown) => PipelineError.is(error, 'ERR_OPS_PRICES_INVALID'),
      text
    )
  }
})
