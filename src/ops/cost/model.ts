/**
 * What a pipeline costs in a month: the cluster, its storage, the bytes that
 * cross availability zones, the machines of the dispatcher (or AWS's event
 * source mapping in their place), and the function.
 *
 * Pure arithmetic over a workload and a price list: every line has its quantity,
 * its unit and its price, so that it can be checked by hand. A month has 730
 * hours, as in AWS's own calculators. Free tiers, discounts and taxes are left
 * out.
 */

import { PipelineError } from '../../core/index.ts'
import { effectiveBatch, functionCost } from './batch.ts'
import type { PriceList } from './prices.ts'
import { brokerCount, cheapestSize, type ClusterLoad, EXPRESS_SIZES, STANDARD_SIZES } from './sizing.ts'
import type { CostWorkload } from './workload-types.ts'

/** One line of a bill. */
export interface CostLine {
  readonly area: 'cluster' | 'storage' | 'transfer' | 'dispatcher' | 'function'
  readonly item: string
  readonly quantity: number
  readonly unit: string
  /** US dollars per unit; an average where the price falls with the amount. */
  readonly unitPrice: number
  /** US dollars. */
  readonly monthly: number
}

/** A bill. */
export interface CostReport {
  readonly region: string
  /** Day of the prices. */
  readonly priceDate: string
  readonly lines: readonly CostLine[]
  readonly monthly: number
  readonly recordsMonthly: number
  /** US dollars for a million records. */
  readonly perMillion: number
  /** What was assumed, and what is not counted. */
  readonly notes: readonly string[]
}

/** Hours of a month in AWS's calculators. */
export const HOURS_PER_MONTH = 730
const secondsPerMonth = HOURS_PER_MONTH * 3600
const gib = 1_073_741_824

/** Free space that AWS's sizing sheet asks for: as much again as is used. */
const diskHeadroom = 2
/** Share of the bytes that cross zones when clients and leaders are spread evenly over three. */
const crossZoneShare = 2 / 3
/** Bytes per second that one event poller takes, pollers in a unit. Source: Lambda, event source mappings of Kafka. */
const pollerBytesPerSecond = 5_000_000
const pollersPerUnit = 10

/** Makes the bill of a workload. */
export function priceWorkload(workload: CostWorkload, prices: PriceList): CostReport {
  const notes: string[] = []
  const lines = [
    ...clusterLines(workload, prices, notes),
    ...transferLines(workload, prices, notes),
    ...invokerLines(workload, prices, notes),
    ...functionLines(workload, prices, notes)
  ]
  const monthly = lines.reduce((sum, line) => sum + line.monthly, 0)
  const recordsMonthly = workload.recordsPerSecond * secondsPerMonth
  const perMillion = recordsMonthly === 0 ? 0 : (monthly / recordsMonthly) * 1e6
  notes.push('Without free tiers, savings plans, support and taxes.')
  return { region: prices.region, priceDate: prices.date, lines, monthly, recordsMonthly, perMillion, notes }
}

/** GiB that producers write in a month, after compression. */
function writtenGiB({ recordsPerSecond, recordBytes, compressionRatio }: CostWorkload): number {
  return (recordsPerSecond * recordBytes * secondsPerMonth) / compressionRatio / gib
}

/** GiB that one copy of the log holds. */
function retainedGiB(workload: CostWorkload, hours: number): number {
  return (writtenGiB(workload) * hours) / HOURS_PER_MONTH
}

function clusterLines(workload: CostWorkload, prices: PriceList, notes: string[]): CostLine[] {
  switch (workload.cluster.kind) {
    case 'standard':
      return standardLines(workload, prices, notes)
    case 'express':
      return expressLines(workload, prices, notes)
    case 'serverless':
      return serverlessLines(workload, prices, notes)
    case 'self':
      notes.push('The cluster is not one of Amazon MSK: its machines and disks are not in the bill.')
      return []
  }
}

/** What brokers are sized for. */
export function loadOf(workload: CostWorkload): ClusterLoad {
  const { recordsPerSecond, recordBytes, compressionRatio, peakFactor } = workload
  return {
    inMiBps: (recordsPerSecond * peakFactor * recordBytes) / compressionRatio / 1_048_576,
    readers: workload.readers,
    partitions: workload.partitions,
    replicationFactor: workload.replicationFactor
  }
}

function sizeOf(workload: CostWorkload, prices: PriceList, notes: string[]): { instance: string; brokers: number } {
  const { kind, instance: wanted, brokers: given } = workload.cluster
  const isExpress = kind === 'express'
  const sizes = isExpress ? EXPRESS_SIZES : STANDARD_SIZES
  const hourly = isExpress ? prices.kafka.expressBrokerHour : prices.kafka.brokerHour
  const load = isExpress ? { ...loadOf(workload), replicationFactor: 3 } : loadOf(workload)
  const best = cheapestSize(sizes, load, hourly)
  const instance = wanted ?? best?.instance ?? 'm7g.large'
  const size = sizes.find(each => each.instance === instance)
  const needed = size === undefined ? 3 : brokerCount(size, load)
  const brokers = given ?? needed
  if (size === undefined) notes.push(`No limits are known of ${instance}: whether it carries the load was not checked.`)
  else if (brokers < needed) {
    notes.push(`${brokers} brokers of ${instance} are fewer than the load needs by AWS’s arithmetic: ${needed}.`)
  }
  return { instance, brokers }
}

function standardLines(workload: CostWorkload, prices: PriceList, notes: string[]): CostLine[] {
  const { instance, brokers } = sizeOf(workload, prices, notes)
  const { retentionHours, replicationFactor, cluster } = workload
  const localHours = Math.min(retentionHours, cluster.localRetentionHours ?? retentionHours)
  const diskGiB = retainedGiB(workload, localHours) * replicationFactor * diskHeadroom
  const lines = [
    brokerLine(`kafka.${instance}`, brokers, hourlyPrice(prices, prices.kafka.brokerHour, instance)),
    line('storage', 'disks, replicas and as much free', {
      quantity: diskGiB,
      unit: 'GiB-month',
      unitPrice: prices.kafka.storageGiBMonth
    })
  ]
  if (localHours < retentionHours) {
    const tiered = retainedGiB(workload, retentionHours)
    lines.push(
      line('storage', 'tiered storage', { quantity: tiered, unit: 'GiB-month', unitPrice: prices.kafka.tieredGiBMonth })
    )
  }
  if (diskGiB / brokers > 16_384) notes.push('The disks are larger than MSK’s limit of 16,384 GiB a broker.')
  return lines
}

function expressLines(workload: CostWorkload, prices: PriceList, notes: string[]): CostLine[] {
  const { instance, brokers } = sizeOf(workload, prices, notes)
  notes.push('Storage of Express brokers is counted once: AWS does not charge for its replicas.')
  const stored = retainedGiB(workload, workload.retentionHours)
  return [
    brokerLine(`express.${instance}`, brokers, hourlyPrice(prices, prices.kafka.expressBrokerHour, instance)),
    line('cluster', 'data written', {
      quantity: writtenGiB(workload),
      unit: 'GiB',
      unitPrice: prices.kafka.expressInGiB
    }),
    line('storage', 'storage', { quantity: stored, unit: 'GiB-month', unitPrice: prices.kafka.storageGiBMonth })
  ]
}

function serverlessLines(workload: CostWorkload, prices: PriceList, notes: string[]): CostLine[] {
  const { kafka } = prices
  const load = loadOf(workload)
  const written = writtenGiB(workload)
  if (load.inMiBps > 200) notes.push('MSK Serverless takes 200 MiB/s at most: this peak is above it.')
  if (load.inMiBps * workload.readers > 400)
    notes.push('MSK Serverless gives 400 MiB/s at most: the readers want more.')
  if (workload.partitions > 2400) notes.push('MSK Serverless has 2,400 partitions at most.')
  if (workload.partitions > 0 && load.inMiBps / workload.partitions > 5) {
    notes.push('A partition of MSK Serverless takes 5 MiB/s at most: more partitions are needed.')
  }
  const hours = { quantity: HOURS_PER_MONTH, unit: 'hours', unitPrice: kafka.serverlessClusterHour }
  const partitionHours = {
    quantity: HOURS_PER_MONTH * workload.partitions,
    unit: 'partition-hours',
    unitPrice: kafka.serverlessPartitionHour
  }
  const stored = retainedGiB(workload, workload.retentionHours)
  return [
    line('cluster', 'cluster', hours),
    line('cluster', 'partitions', partitionHours),
    line('cluster', 'data in', { quantity: written, unit: 'GiB', unitPrice: kafka.serverlessInGiB }),
    line('cluster', 'data out', {
      quantity: written * workload.readers,
      unit: 'GiB',
      unitPrice: kafka.serverlessOutGiB
    }),
    line('storage', 'storage', { quantity: stored, unit: 'GiB-month', unitPrice: kafka.serverlessStorageGiBMonth })
  ]
}

function brokerLine(name: string, brokers: number, unitPrice: number): CostLine {
  return line('cluster', `${brokers} × ${name}`, {
    quantity: brokers * HOURS_PER_MONTH,
    unit: 'broker-hours',
    unitPrice
  })
}

function transferLines(workload: CostWorkload, prices: PriceList, notes: string[]): CostLine[] {
  // Serverless charges for data in and out; the network between zones is its own.
  if (workload.cluster.kind === 'serverless' || workload.cluster.kind === 'self') return []
  const written = writtenGiB(workload) * crossZoneShare
  const read = workload.isRackAware ? 0 : written * workload.readers
  notes.push('Clients and leaders are spread evenly over three zones, it is assumed; replication is free.')
  return [
    line('transfer', 'producers to other zones', { quantity: written, unit: 'GiB', unitPrice: prices.crossZoneGiB }),
    line('transfer', 'consumers from other zones', { quantity: read, unit: 'GiB', unitPrice: prices.crossZoneGiB })
  ]
}

function invokerLines(workload: CostWorkload, prices: PriceList, notes: string[]): CostLine[] {
  if (workload.invoker === 'mapping') {
    notes.push('AWS’s event source mapping without provisioned pollers costs nothing but its invocations.')
    return []
  }
  if (workload.invoker === 'mappingProvisioned') {
    const { recordsPerSecond, peakFactor, recordBytes, compressionRatio } = workload
    const bytes = (recordsPerSecond * peakFactor * recordBytes) / compressionRatio
    const pollers = Math.max(1, Math.ceil(bytes / pollerBytesPerSecond))
    const units = Math.ceil(pollers / pollersPerUnit)
    notes.push(`${pollers} event pollers at 5 MB/s each; a unit of 20 MB/s holds up to ten.`)
    const amount = { quantity: units * HOURS_PER_MONTH, unit: 'unit-hours', unitPrice: prices.lambda.pollerUnitHour }
    return [line('dispatcher', 'event pollers', amount)]
  }
  const { instances, instance, vcpu, memoryGb, architecture } = workload.dispatcher
  const hours = instances * HOURS_PER_MONTH
  if (instance !== undefined) {
    const hourly = hourlyPrice(prices, prices.ec2Hour, instance)
    return [line('dispatcher', `${instances} × ${instance}`, { quantity: hours, unit: 'hours', unitPrice: hourly })]
  }
  const { vcpuHour, gbHour } = prices.fargate[architecture]
  const cpu = { quantity: hours * vcpu, unit: 'vCPU-hours', unitPrice: vcpuHour }
  const memory = { quantity: hours * memoryGb, unit: 'GB-hours', unitPrice: gbHour }
  return [
    line('dispatcher', `Fargate, ${instances} × ${vcpu} vCPU`, cpu),
    line('dispatcher', `Fargate, ${instances} × ${memoryGb} GB`, memory)
  ]
}

function functionLines(workload: CostWorkload, prices: PriceList, notes: string[]): CostLine[] {
  const batch = effectiveBatch(workload)
  const cost = functionCost(workload, batch.records, prices)
  if (batch.isByAge) {
    notes.push(
      `Batches are closed by age: ${Math.round(batch.records)} records at this rate, ` +
        `not ${workload.function.recordsMax}.`
    )
  }
  const unitPrice = cost.gbSeconds === 0 ? 0 : cost.durationUsd / cost.gbSeconds
  return [
    line('function', 'requests', {
      quantity: cost.invocations / 1e6,
      unit: 'million',
      unitPrice: prices.lambda.requestsMillion
    }),
    line('function', 'duration', { quantity: cost.gbSeconds, unit: 'GB-seconds', unitPrice })
  ]
}

function line(
  area: CostLine['area'],
  item: string,
  amount: { readonly quantity: number; readonly unit: string; readonly unitPrice: number }
): CostLine {
  return { area, item, ...amount, monthly: amount.quantity * amount.unitPrice }
}

/** @throws PipelineError `ERR_OPS_NOT_FOUND` naming what the list has. */
function hourlyPrice(prices: PriceList, table: Readonly<Record<string, number>>, instance: string): number {
  const price = table[instance]
  if (price !== undefined) return price
  const known = Object.keys(table).join(', ')
  throw new PipelineError('ERR_OPS_NOT_FOUND', `no price of ${instance} in ${prices.region}; there are ${known}`)
}
