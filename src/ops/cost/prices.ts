/**
 * A price list: what AWS asks in one region on one day, in US dollars. The one
 * that comes with the package is dated and can be replaced by a file, which
 * `comporta cost refresh` writes from AWS's own price list.
 */

import { PipelineError } from '../../core/index.ts'

/** A price that falls with the amount: it holds up to `upTo` units a month, the last one for all the rest. */
export interface PriceTier {
  /** `null` = without a limit. */
  readonly upTo: number | null
  readonly price: number
}

/** Processor architectures, by AWS's words. */
export type Architecture = 'x86_64' | 'arm64'

/** Prices of one region. */
export interface PriceList {
  /** Version of this form. */
  readonly format: 1
  readonly region: string
  /** Day on which the prices held, as `2026-11-21`. */
  readonly date: string
  /** Where they are from, for people. */
  readonly source: string
  /** Names of prices that were not seen on a page of AWS. */
  readonly unverified: readonly string[]
  readonly kafka: {
    /** By instance type without `kafka.`; per broker and hour. */
    readonly brokerHour: Readonly<Record<string, number>>
    /** By instance type without `express.`; per broker and hour. */
    readonly expressBrokerHour: Readonly<Record<string, number>>
    readonly storageGiBMonth: number
    readonly tieredGiBMonth: number
    readonly throughputMiBpsMonth: number
    /** Data written to Express brokers. */
    readonly expressInGiB: number
    readonly serverlessClusterHour: number
    readonly serverlessPartitionHour: number
    readonly serverlessInGiB: number
    readonly serverlessOutGiB: number
    readonly serverlessStorageGiBMonth: number
  }
  /** Between availability zones, both directions together. */
  readonly crossZoneGiB: number
  readonly lambda: {
    readonly requestsMillion: number
    readonly gbSecond: Readonly<Record<Architecture, readonly PriceTier[]>>
    /** Event poller unit of an event source mapping in provisioned mode. */
    readonly pollerUnitHour: number
  }
  /** On demand, Linux. By instance type, per hour. */
  readonly ec2Hour: Readonly<Record<string, number>>
  readonly fargate: Readonly<Record<Architecture, { readonly vcpuHour: number; readonly gbHour: number }>>
}

/** The list that comes with the package. */
export const PRICES: PriceList = {
  format: 1,
  region: 'us-east-1',
  date: '2026-11-21',
  source: 'pages of AWS, copied by hand; comporta cost refresh writes a list from AWS’s own',
  unverified: ['kafka.serverlessInGiB', 'kafka.serverlessOutGiB', 'kafka.serverlessStorageGiBMonth'],
  kafka: {
    brokerHour: {
      't3.small': 0.0456,
      'm5.large': 0.21,
      'm5.xlarge': 0.42,
      'm5.2xlarge': 0.84,
      'm5.4xlarge': 1.68,
      'm5.8xlarge': 3.36,
      'm5.12xlarge': 5.04,
      'm5.16xlarge': 6.72,
      'm5.24xlarge': 10.08,
      'm7g.large': 0.204,
      'm7g.xlarge': 0.408,
      'm7g.2xlarge': 0.816,
      'm7g.4xlarge': 1.632,
      'm7g.8xlarge': 3.264,
      'm7g.12xlarge': 4.896,
      'm7g.16xlarge': 6.528
    },
    expressBrokerHour: {
      'm7g.large': 0.408,
      'm7g.xlarge': 0.816,
      'm7g.2xlarge': 1.632,
      'm7g.4xlarge': 3.264,
      'm7g.8xlarge': 6.528,
      'm7g.12xlarge': 9.792,
      'm7g.16xlarge': 13.056
    },
    storageGiBMonth: 0.1,
    tieredGiBMonth: 0.023,
    throughputMiBpsMonth: 0.08,
    expressInGiB: 0.01,
    serverlessClusterHour: 0.75,
    serverlessPartitionHour: 0.0015,
    serverlessInGiB: 0.1,
    serverlessOutGiB: 0.05,
    serverlessStorageGiBMonth: 0.1
  },
  crossZoneGiB: 0.02,
  lambda: {
    requestsMillion: 0.2,
    gbSecond: {
      x86_64: [
        { upTo: 6e9, price: 0.0000166667 },
        { upTo: 15e9, price: 0.000015 },
        { upTo: null, price: 0.0000133334 }
      ],
      arm64: [
        { upTo: 7.5e9, price: 0.0000133334 },
        { upTo: 18.75e9, price: 0.0000120001 },
        { upTo: null, price: 0.0000106667 }
      ]
    },
    pollerUnitHour: 0.185
  },
  ec2Hour: {
    't4g.small': 0.0168,
    't4g.medium': 0.0336,
    't3.medium': 0.0416,
    'm5.large': 0.096,
    'm5.xlarge': 0.192,
    'm7g.medium': 0.0408,
    'm7g.large': 0.0816,
    'm7g.xlarge': 0.1632,
    'c7g.large': 0.0725,
    'c7g.xlarge': 0.145
  },
  fargate: {
    x86_64: { vcpuHour: 0.04048, gbHour: 0.004445 },
    arm64: { vcpuHour: 0.03238, gbHour: 0.00356 }
  }
}

/** What an amount costs by tiers. */
export function tieredPrice(tiers: readonly PriceTier[], amount: number): number {
  let sum = 0
  let from = 0
  for (const { upTo, price } of tiers) {
    const end = upTo === null ? amount : Math.min(amount, upTo)
    if (end > from) sum += (end - from) * price
    from = Math.max(from, end)
  }
  return sum
}

/**
 * Reads a price file: the whole form, every price a number that is not negative.
 *
 * @param name - Name of the file, for the message.
 * @throws PipelineError `ERR_OPS_PRICES_INVALID` with the first place that is wrong.
 */
export function readPriceList(text: string, name: string): PriceList {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new PipelineError('ERR_OPS_PRICES_INVALID', `${name} is not JSON`, { cause })
  }
  if (typeof value === 'object' && value !== null && 'format' in value && value.format !== 1) {
    throw invalid(name, 'format', 'is of another version; write it anew with comporta cost refresh')
  }
  compare(value, PRICES, { name, path: [] })
  // Compared with the form of the list above, place by place.
  return value as PriceList
}

interface Place {
  readonly name: string
  readonly path: readonly string[]
}

/** Records whose keys are names of instance types: any will do. */
const OPEN = new Set(['kafka.brokerHour', 'kafka.expressBrokerHour', 'ec2Hour'])

function compare(given: unknown, form: unknown, { name, path }: Place): void {
  const where = path.join('.')
  if (typeof form === 'number') {
    if (typeof given !== 'number' || !Number.isFinite(given) || given < 0) {
      throw invalid(name, where, 'must be a number from 0 on')
    }
  } else if (Array.isArray(form)) {
    if (!Array.isArray(given)) throw invalid(name, where, 'must be a list')
    if (where.includes('gbSecond')) checkTiers(given, { name, path })
  } else if (typeof form === 'object' && form !== null) {
    if (typeof given !== 'object' || given === null) throw invalid(name, where || 'it', 'must be an object')
    const [entry] = Object.values(form)
    const names = OPEN.has(where) ? Object.keys(given) : Object.keys(form)
    for (const key of names) {
      const inner: unknown = Object.entries(form).find(([each]) => each === key)?.[1] ?? entry
      compare(Object.entries(given).find(([each]) => each === key)?.[1], inner, { name, path: [...path, key] })
    }
  } else if (typeof given !== typeof form) {
    throw invalid(name, where, `must be ${typeof form === 'string' ? 'text' : typeof form}`)
  }
}

function checkTiers(tiers: readonly unknown[], { name, path }: Place): void {
  let below = 0
  for (const [index, tier] of tiers.entries()) {
    const isTier = typeof tier === 'object' && tier !== null && 'upTo' in tier && 'price' in tier
    const upTo = isTier ? (tier.upTo ?? Number.POSITIVE_INFINITY) : undefined
    if (!isTier || typeof tier.price !== 'number' || !(tier.price >= 0) || typeof upTo !== 'number' || upTo <= below) {
      throw invalid(name, [...path, index].join('.'), 'must have a price, and an upTo above that of the tier before')
    }
    below = upTo
  }
  if (below !== Number.POSITIVE_INFINITY) throw invalid(name, path.join('.'), 'must end with a tier of upTo null')
}

function invalid(name: string, where: string, what: string): PipelineError {
  return new PipelineError('ERR_OPS_PRICES_INVALID', `${name}: ${where} ${what}`)
}
