/**
 * A price list from AWS's own: the offer files of the Price List Bulk API, which
 * anyone may read without credentials.
 *
 *   https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/<service>/current/<region>/index.json
 *   { products: { sku: { attributes: { usagetype } } }, terms: { OnDemand: { sku: { term: { priceDimensions:
 *     { id: { beginRange, endRange, pricePerUnit: { USD } } } } } } } }
 *
 * A price is found by its usage type, which has a prefix of the region outside of
 * us-east-1. Machines of EC2 are left as they are: their file has hundreds of
 * megabytes. What is not found keeps its old price, and is named.
 */

import { PipelineError } from '../../core/index.ts'
import type { Architecture, PriceList, PriceTier } from './prices.ts'

/** Services whose offers are read. */
export const OFFERS = ['AmazonMSK', 'AWSLambda', 'AmazonECS'] as const
/** One of them. */
export type OfferName = (typeof OFFERS)[number]

/** Path of an offer file at `https://pricing.us-east-1.amazonaws.com`. */
export function offerPath(service: OfferName, region: string): string {
  return `/offers/v1.0/aws/${service}/current/${region}/index.json`
}

/** A new list, and the prices that were not found. */
export interface RefreshedPrices {
  readonly prices: PriceList
  readonly missing: readonly string[]
  /** How many prices differ from the list before. */
  readonly changed: number
}

/** What is asked for: an on-demand price by its usage type. */
type Find = (usage: RegExp) => readonly PriceTier[] | undefined

/** Reads an offer: tiers by usage type. @throws PipelineError `ERR_OPS_PRICES_INVALID` if it is not an offer file. */
export function readOffer(text: string, service: OfferName): ReadonlyMap<string, readonly PriceTier[]> {
  let offer: unknown
  try {
    offer = JSON.parse(text)
  } catch (cause) {
    throw new PipelineError('ERR_OPS_PRICES_INVALID', `AWS’s offer of ${service} is not JSON`, { cause })
  }
  const products = entriesOf(fieldOf(offer, 'products'))
  const terms = fieldOf(fieldOf(offer, 'terms'), 'OnDemand')
  if (products.length === 0 || terms === undefined) {
    throw new PipelineError('ERR_OPS_PRICES_INVALID', `AWS’s offer of ${service} has no products or no prices`)
  }
  const found = new Map<string, readonly PriceTier[]>()
  for (const [sku, product] of products) {
    const attributes = fieldOf(product, 'attributes')
    const usage = fieldOf(attributes, 'usagetype')
    const tiers = tiersOf(fieldOf(terms, sku))
    // Some usage types are sold under several operations; the first with a price above zero is the one people pay.
    if (typeof usage === 'string' && tiers.some(({ price }) => price > 0) && !found.has(usage)) found.set(usage, tiers)
  }
  return found
}

function tiersOf(terms: unknown): PriceTier[] {
  const tiers: { from: number; tier: PriceTier }[] = []
  for (const [, term] of entriesOf(terms)) {
    for (const [, dimension] of entriesOf(fieldOf(term, 'priceDimensions'))) {
      const price = Number(fieldOf(fieldOf(dimension, 'pricePerUnit'), 'USD'))
      const end = fieldOf(dimension, 'endRange')
      const upTo = end === undefined || end === 'Inf' ? null : Number(end)
      if (Number.isFinite(price))
        tiers.push({ from: Number(fieldOf(dimension, 'beginRange') ?? 0), tier: { upTo, price } })
    }
  }
  return tiers.sort((left, right) => left.from - right.from).map(({ tier }) => tier)
}

/**
 * A list with the prices of the offers in place of those of another list.
 *
 * @param date - Day of the new list, as `2026-11-21`.
 */
export function refreshPrices(
  offers: Readonly<Record<OfferName, ReadonlyMap<string, readonly PriceTier[]>>>,
  before: PriceList,
  { region, date }: { readonly region: string; readonly date: string }
): RefreshedPrices {
  const missing: string[] = []
  const counts = { changed: 0 }
  const taking = { missing, counts }
  const kafka = kafkaPrices(before, { ...taking, find: finderOf(offers.AmazonMSK) })
  const lambda = lambdaPrices(before, { ...taking, find: finderOf(offers.AWSLambda) })
  const fargate = fargatePrices(before, { ...taking, find: finderOf(offers.AmazonECS) })
  const rest = `machines of EC2 and transfer as of ${before.date} in ${before.region}`
  const source = `AWS price list: ${OFFERS.join(', ')}; ${rest}`
  const prices: PriceList = { ...before, region, date, source, unverified: missing, kafka, lambda, fargate }
  return { prices, missing, changed: counts.changed }
}

interface Taking {
  readonly find: Find
  readonly missing: string[]
  readonly counts: { changed: number }
}

function finderOf(offer: ReadonlyMap<string, readonly PriceTier[]>): Find {
  return usage => {
    for (const [name, tiers] of offer) if (usage.test(name)) return tiers
    return undefined
  }
}

/** A usage type with or without its region: `USE1-Kafka.m5.large`. */
function usageOf(name: string): RegExp {
  return new RegExp(`^(?:[A-Z]{2,4}[0-9]?-)?${name}$`)
}

/** One price; the old one if it is not found. */
function take(name: string, { old, usage }: { old: number; usage: string }, taking: Taking): number {
  const { find, missing, counts } = taking
  const price = find(usageOf(usage))?.[0]?.price
  if (price === undefined) missing.push(name)
  else if (Math.abs(price - old) > old * 1e-9) counts.changed += 1
  return price ?? old
}

function kafkaPrices({ kafka }: PriceList, taking: Taking): PriceList['kafka'] {
  const table = (name: 'brokerHour' | 'expressBrokerHour', prefix: string): Record<string, number> =>
    Object.fromEntries(
      Object.entries(kafka[name]).map(([instance, old]) => {
        const usage = `${prefix}${instance.replaceAll('.', '\\.')}`
        return [instance, take(`kafka.${name}.${instance}`, { old, usage }, taking)]
      })
    )
  const one = (name: keyof PriceList['kafka'], usage: string): number => {
    const old = kafka[name]
    return typeof old === 'number' ? take(`kafka.${name}`, { old, usage }, taking) : 0
  }
  return {
    brokerHour: table('brokerHour', String.raw`Kafka\.(?:kraft\.)?`),
    expressBrokerHour: table('expressBrokerHour', String.raw`Express\.`),
    storageGiBMonth: one('storageGiBMonth', String.raw`Kafka\.Storage\.GP2`),
    tieredGiBMonth: one('tieredGiBMonth', String.raw`Kafka\.Storage\.Tiered`),
    throughputMiBpsMonth: one('throughputMiBpsMonth', String.raw`Kafka\.Storage\.(?:Provisioned)?Throughput`),
    expressInGiB: one('expressInGiB', String.raw`Express\.(?:DataIn|Data-?In-?Bytes)`),
    serverlessClusterHour: one('serverlessClusterHour', String.raw`Kafka\.?-?Serverless-(?:Cluster-?)?Hours`),
    serverlessPartitionHour: one('serverlessPartitionHour', String.raw`Kafka\.?-?Serverless-Partition-?Hours`),
    serverlessInGiB: one('serverlessInGiB', String.raw`Kafka\.?-?Serverless-(?:DataIn|In-Bytes)`),
    serverlessOutGiB: one('serverlessOutGiB', String.raw`Kafka\.?-?Serverless-(?:DataOut|Out-Bytes)`),
    serverlessStorageGiBMonth: one('serverlessStorageGiBMonth', String.raw`Kafka\.?-?Serverless-Storage.*`)
  }
}

function lambdaPrices({ lambda }: PriceList, taking: Taking): PriceList['lambda'] {
  const duration = (architecture: Architecture, usage: string): readonly PriceTier[] => {
    const old = lambda.gbSecond[architecture]
    const tiers = taking.find(usageOf(usage))
    if (tiers === undefined) taking.missing.push(`lambda.gbSecond.${architecture}`)
    else if (JSON.stringify(tiers) !== JSON.stringify(old)) taking.counts.changed += 1
    return tiers ?? old
  }
  // The list has the price of one request.
  const request = take('lambda.requestsMillion', { old: lambda.requestsMillion / 1e6, usage: 'Request' }, taking)
  return {
    requestsMillion: Number((request * 1e6).toPrecision(12)),
    gbSecond: {
      x86_64: duration('x86_64', 'Lambda-GB-Second'),
      arm64: duration('arm64', 'Lambda-GB-Second-ARM')
    },
    pollerUnitHour: take(
      'lambda.pollerUnitHour',
      { old: lambda.pollerUnitHour, usage: String.raw`.*Event-?Poller-?Unit.*` },
      taking
    )
  }
}

function fargatePrices({ fargate }: PriceList, taking: Taking): PriceList['fargate'] {
  const of = (architecture: Architecture, infix: string): PriceList['fargate'][Architecture] => {
    const { vcpuHour, gbHour } = fargate[architecture]
    const name = `fargate.${architecture}`
    return {
      vcpuHour: take(`${name}.vcpuHour`, { old: vcpuHour, usage: `Fargate${infix}-vCPU-Hours:perCPU` }, taking),
      gbHour: take(`${name}.gbHour`, { old: gbHour, usage: `Fargate${infix}-GB-Hours` }, taking)
    }
  }
  return { x86_64: of('x86_64', ''), arm64: of('arm64', '-ARM') }
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  // The offer is JSON: its own members only.
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}
