/**
 * How many brokers of which size Amazon MSK needs for a load, by AWS's own
 * arithmetic: disk and network of the instance against what a written byte
 * causes in both, partitions against the recommended number, a multiple of three.
 *
 * Sources: AWS's sizing sheet for MSK (6.5 times the bytes written on disk, 5.7
 * times on the network and 1.5 times more for each reader, half of both kept
 * free), EC2's pages of instance types (baselines of EBS and network), MSK's
 * pages "Standard broker best practices" and "Express broker quotas".
 */

/** Limits of one size of broker. */
export interface BrokerSize {
  readonly instance: string
  /** Bytes written by producers that it sustains, in MiB/s, before readers are counted. */
  readonly inMiBps: (readers: number) => number
  /** Partitions with replicas that AWS recommends at most. */
  readonly partitionsRecommended: number
}

const utilisation = 0.5
const diskFactor = 6.5
const networkFactor = 5.7
const networkPerReader = 1.5
const bytesPerMiB = 1_048_576

/** Baselines in megabits per second, and recommended partitions. */
const standard: readonly (readonly [string, number, number, number])[] = [
  ['m7g.large', 630, 937, 1000],
  ['m7g.xlarge', 1250, 1876, 1000],
  ['m7g.2xlarge', 2500, 3750, 2000],
  ['m7g.4xlarge', 5000, 7500, 4000],
  ['m7g.8xlarge', 10_000, 15_000, 4000],
  ['m7g.12xlarge', 15_000, 22_500, 4000],
  ['m7g.16xlarge', 20_000, 30_000, 4000],
  ['m5.large', 650, 750, 1000],
  ['m5.xlarge', 1150, 1250, 1000],
  ['m5.2xlarge', 2300, 2500, 2000],
  ['m5.4xlarge', 4750, 5000, 4000],
  ['m5.8xlarge', 6800, 10_000, 4000],
  ['m5.12xlarge', 9500, 12_000, 4000],
  ['m5.16xlarge', 13_600, 20_000, 4000],
  ['m5.24xlarge', 19_000, 25_000, 4000]
]

/** Sustained MiB/s in, and recommended partitions. */
const express: readonly (readonly [string, number, number])[] = [
  ['m7g.large', 15.6, 1000],
  ['m7g.xlarge', 31.2, 1000],
  ['m7g.2xlarge', 62.5, 2500],
  ['m7g.4xlarge', 124.9, 6000],
  ['m7g.8xlarge', 250, 12_000],
  ['m7g.12xlarge', 375, 16_000],
  ['m7g.16xlarge', 500, 20_000]
]

const miBps = (megabits: number): number => (megabits * 1e6) / 8 / bytesPerMiB

/** Sizes of Standard brokers, smallest first within a family. */
export const STANDARD_SIZES: readonly BrokerSize[] = standard.map(([instance, disk, network, partitions]) => ({
  instance,
  partitionsRecommended: partitions,
  inMiBps: readers =>
    Math.min(
      (miBps(disk) * utilisation) / diskFactor,
      (miBps(network) * utilisation) / (networkFactor + networkPerReader * readers)
    )
}))

/** Sizes of Express brokers, smallest first. */
export const EXPRESS_SIZES: readonly BrokerSize[] = express.map(([instance, mibps, partitions]) => ({
  instance,
  partitionsRecommended: partitions,
  // AWS states it with twice as much going out.
  inMiBps: readers => (readers <= 2 ? mibps : (mibps * 2) / readers)
}))

/** What a cluster has to carry. */
export interface ClusterLoad {
  /** Bytes written by producers at the peak, in MiB/s. */
  readonly inMiBps: number
  /** Groups that read everything. */
  readonly readers: number
  /** Partitions, without replicas. */
  readonly partitions: number
  readonly replicationFactor: number
}

/** Number of brokers of a size that carry a load: a multiple of three, one for each availability zone. */
export function brokerCount(size: BrokerSize, load: ClusterLoad): number {
  const byBytes = load.inMiBps / size.inMiBps(load.readers)
  const byPartitions = (load.partitions * load.replicationFactor) / size.partitionsRecommended
  return Math.max(3, Math.ceil(Math.max(byBytes, byPartitions) / 3) * 3)
}

/** The cheapest way to carry a load with one size of broker. */
export function cheapestSize(
  sizes: readonly BrokerSize[],
  load: ClusterLoad,
  hourly: Readonly<Record<string, number>>
): { readonly instance: string; readonly brokers: number } | undefined {
  let best: { instance: string; brokers: number; price: number } | undefined
  for (const size of sizes) {
    const price = hourly[size.instance]
    if (price === undefined) continue
    const brokers = brokerCount(size, load)
    if (best === undefined || brokers * price < best.price) {
      best = { instance: size.instance, brokers, price: brokers * price }
    }
  }
  return best === undefined ? undefined : { instance: best.instance, brokers: best.brokers }
}
