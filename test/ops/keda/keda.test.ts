/** Expected values are worked out by hand from KEDA's documented rules and its scaler, not taken from this code. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { PipelineError } from '../../../src/core/index.ts'
import { type KedaInput, type KedaPartition, kedaReplicas } from '../../../src/ops/keda/keda.ts'
import type { KedaOptions } from '../../../src/ops/keda/options.ts'

/** Partitions of one topic whose log ends at 1,000, with these lags. */
function lags(...values: number[]): KedaPartition[] {
  return values.map((lag, partition) => at(partition, 1000n - BigInt(lag), 1000n))
}

function at(partition: number, committed: bigint | undefined, endOffset: bigint | undefined): KedaPartition {
  return { topic: 'orders', partition, committed, endOffset }
}

interface Row {
  readonly name: string
  readonly options?: KedaOptions
  readonly partitions: readonly KedaPartition[]
  readonly metric: bigint
  readonly replicas: number
  readonly isActive: boolean
  readonly limitedBy?: string
  readonly more?: Partial<KedaInput>
}

const topic = 'orders'
const rows: readonly Row[] = [
  { name: 'no lag: inactive, to zero', partitions: lags(0, 0), metric: 0n, replicas: 0, isActive: false },
  { name: '25 of lag, 10 each: ceil 2.5', partitions: lags(5, 10, 10), metric: 25n, replicas: 3, isActive: true },
  { name: 'exactly one threshold is one replica', partitions: lags(10, 0), metric: 10n, replicas: 1, isActive: true },
  { name: 'one record more is two', partitions: lags(11, 0), metric: 11n, replicas: 2, isActive: true },
  {
    name: 'far above, capped at 3 partitions × 10',
    partitions: lags(500, 500, 500),
    metric: 30n,
    replicas: 3,
    isActive: true,
    limitedBy: 'partitions'
  },
  {
    name: 'KEDA divides integers: 35 ÷ 10 is 3, not above 3 partitions, so 4 replicas are asked for',
    partitions: lags(35, 0, 0),
    metric: 35n,
    replicas: 4,
    isActive: true
  },
  {
    name: 'idle consumers allowed: no cap',
    options: { allowIdleConsumers: true },
    partitions: lags(500, 500, 500),
    metric: 1500n,
    replicas: 100,
    isActive: true,
    limitedBy: 'maxReplicaCount'
  },
  {
    name: 'activation is strictly above: 5 is not above 5',
    options: { activationLagThreshold: 5 },
    partitions: lags(3, 2),
    metric: 5n,
    replicas: 0,
    isActive: false,
    limitedBy: 'inactive'
  },
  {
    name: 'inactive, but minReplicaCount is above zero: the autoscaler goes on, at least that many',
    options: { activationLagThreshold: 50, minReplicaCount: 2 },
    partitions: lags(3, 2),
    metric: 5n,
    replicas: 2,
    isActive: false,
    limitedBy: 'minReplicaCount'
  },
  {
    name: 'inactive with idleReplicaCount',
    options: { minReplicaCount: 2, idleReplicaCount: 1 },
    partitions: lags(0, 0),
    metric: 0n,
    replicas: 1,
    isActive: false,
    limitedBy: 'inactive'
  },
  {
    name: 'nothing committed, latest: one record each',
    partitions: [at(0, undefined, 500n), at(1, -1n, 500n)],
    metric: 2n,
    replicas: 1,
    isActive: true
  },
  {
    name: 'nothing committed, latest, scale to zero',
    options: { scaleToZeroOnInvalidOffset: true },
    partitions: [at(0, undefined, 500n), at(1, undefined, 500n)],
    metric: 0n,
    replicas: 0,
    isActive: false
  },
  {
    name: 'nothing committed, earliest: the offset of the end, whatever has been deleted',
    options: { offsetResetPolicy: 'earliest', lagThreshold: 100 },
    partitions: [at(0, undefined, 250n), at(1, 0n, 0n), at(2, 0n, 0n)],
    metric: 250n,
    replicas: 3,
    isActive: true
  },
  {
    name: 'nothing committed, earliest, scale to zero',
    options: { offsetResetPolicy: 'earliest', scaleToZeroOnInvalidOffset: true },
    partitions: [at(0, undefined, 250n)],
    metric: 0n,
    replicas: 0,
    isActive: false
  },
  {
    name: 'a partition without an end counts neither as lag nor as a partition: the cap is 1 × 10',
    partitions: [at(0, 0n, undefined), at(1, 0n, 90n)],
    metric: 10n,
    replicas: 1,
    isActive: true,
    limitedBy: 'partitions'
  },
  {
    name: 'a commit above the end counts negative',
    partitions: [at(0, 20n, 10n), at(1, 0n, 25n)],
    metric: 15n,
    replicas: 2,
    isActive: true
  },
  {
    name: 'even distribution: 35 on 6 partitions needs 4, the next divisor is 6',
    options: { ensureEvenDistributionOfPartitions: true, topic },
    partitions: lags(35, 0, 0, 0, 0, 0),
    metric: 60n,
    replicas: 6,
    isActive: true,
    limitedBy: 'evenDistribution'
  },
  {
    name: 'even distribution: 15 on 6 partitions is 2, a divisor',
    options: { ensureEvenDistributionOfPartitions: true, topic },
    partitions: lags(15, 0, 0, 0, 0, 0),
    metric: 20n,
    replicas: 2,
    isActive: true,
    limitedBy: 'evenDistribution'
  },
  {
    name: 'even distribution: 10 partitions, 21 of lag: 3 is no divisor, 5 is',
    options: { ensureEvenDistributionOfPartitions: true, topic },
    partitions: lags(21, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    metric: 50n,
    replicas: 5,
    isActive: true,
    limitedBy: 'evenDistribution'
  },
  {
    name: 'even distribution above all partitions is all partitions',
    options: { ensureEvenDistributionOfPartitions: true, topic },
    partitions: lags(900, 0, 0, 0),
    metric: 40n,
    replicas: 4,
    isActive: true,
    limitedBy: 'evenDistribution'
  },
  {
    name: 'even distribution of nothing: the smallest divisor, but inactive',
    options: { ensureEvenDistributionOfPartitions: true, topic },
    partitions: lags(0, 0, 0, 0),
    metric: 10n,
    replicas: 0,
    isActive: false
  },
  {
    name: 'even distribution holds with idle consumers allowed, too',
    options: { ensureEvenDistributionOfPartitions: true, allowIdleConsumers: true, topic },
    partitions: lags(35, 0, 0, 0, 0, 0),
    metric: 60n,
    replicas: 6,
    isActive: true,
    limitedBy: 'evenDistribution'
  },
  {
    name: 'limit to partitions with lag: 2 of 4 lag, so 2 × 10',
    options: { limitToPartitionsWithLag: true, topic },
    partitions: lags(100, 100, 0, 0),
    metric: 20n,
    replicas: 2,
    isActive: true,
    limitedBy: 'partitionsWithLag'
  },
  {
    name: 'one hot partition, limited: one replica, however much it is',
    options: { limitToPartitionsWithLag: true, topic },
    partitions: lags(100_000, 0, 0, 0),
    metric: 10n,
    replicas: 1,
    isActive: true,
    limitedBy: 'partitionsWithLag'
  },
  {
    name: 'partition limitation: 1 and 3 to 4',
    options: { partitionLimitation: '1, 3-4', topic, lagThreshold: 1000 },
    partitions: lags(1, 20, 300, 4000, 50_000),
    metric: 3000n,
    replicas: 3,
    isActive: true,
    limitedBy: 'partitions'
  },
  {
    name: 'partition limitation without a topic is ignored',
    options: { partitionLimitation: '1', lagThreshold: 1000 },
    partitions: lags(1, 20, 300),
    metric: 321n,
    replicas: 1,
    isActive: true
  },
  {
    name: 'a topic leaves others out',
    options: { topic },
    partitions: [...lags(5), { topic: 'other', partition: 0, committed: 0n, endOffset: 900n }],
    metric: 5n,
    replicas: 1,
    isActive: true
  },
  {
    name: 'within a tenth of the target nothing moves: 53 ÷ (10 × 5) = 1.06',
    partitions: lags(53, 0, 0, 0, 0, 0),
    metric: 53n,
    replicas: 5,
    isActive: true,
    limitedBy: 'tolerance',
    more: { currentReplicas: 5 }
  },
  {
    name: 'above a tenth it does: 56 ÷ (10 × 5) = 1.12',
    partitions: lags(56, 0, 0, 0, 0, 0),
    metric: 56n,
    replicas: 6,
    isActive: true,
    more: { currentReplicas: 5 }
  },
  {
    name: 'metricType Value multiplies by what is there: 2 × 30 ÷ 10',
    options: { metricType: 'Value' },
    partitions: lags(30, 0, 0, 0),
    metric: 30n,
    replicas: 6,
    isActive: true,
    more: { currentReplicas: 2 }
  },
  { name: 'a group without any commit and without a topic', partitions: [], metric: 0n, replicas: 0, isActive: false }
]

for (const { name, options, partitions, more, ...expected } of rows) {
  test(`KEDA: ${name}`, () => {
    const decision = kedaReplicas({ partitions, ...more, ...(options === undefined ? {} : { options }) })
    const { metric, replicas, isActive, limitedBy } = decision
    assert.deepEqual(
      { metric, replicas, isActive, ...('limitedBy' in expected ? { limitedBy } : {}) },
      expected,
      decision.reason
    )
  })
}

test('a persistent lag scales nothing from the second poll on, but keeps the deployment awake', () => {
  const options = { excludePersistentLag: true }
  const first = kedaReplicas({ options, partitions: lags(40, 20, 0, 0, 0, 0) })
  assert.equal(first.metric, 60n)

  // Partition 0 stands still at 960; partition 1 went on from 980 to 990 and has 15 new records.
  const partitions = [at(0, 960n, 1000n), at(1, 990n, 1005n), ...lags(0, 0, 0, 0, 0, 0).slice(2)]
  const second = kedaReplicas({ options, partitions, previous: first.offsets })
  assert.equal(second.metric, 15n)
  assert.equal(second.lagWithPersistent, 55n)
  assert.equal(second.replicas, 2)

  const third = kedaReplicas({ options, partitions, previous: second.offsets })
  assert.equal(third.metric, 0n)
  assert.equal(third.isActive, true)
  assert.equal(third.replicas, 1)
})

test('a first decision without memory does not change what was passed in', () => {
  const previous = new Map<string, bigint>()
  const { offsets } = kedaReplicas({ options: { excludePersistentLag: true }, partitions: lags(1), previous })
  assert.equal(previous.size, 0)
  assert.equal(offsets.size, 1)
})

test('a partition whose commit Kafka does not say leaves no metric: the replicas stay', () => {
  const partitions = [...lags(90), { ...at(1, undefined, 10n), problem: 'NOT_COORDINATOR' }]
  const decision = kedaReplicas({ partitions, currentReplicas: 7 })
  assert.equal(decision.replicas, 7)
  assert.equal(decision.limitedBy, 'problem')
  assert.match(decision.problem ?? '', /orders-1 is not known: NOT_COORDINATOR/)
})

test('a limitation that leaves no partition leaves no metric, as KEDA says so', () => {
  const decision = kedaReplicas({ options: { topic, partitionLimitation: '7' }, partitions: lags(1, 2) })
  assert.match(decision.problem ?? '', /topic orders has no partition/)
})

const refused: readonly (readonly [KedaOptions, RegExp])[] = [
  [{ allowIdleConsumers: true, limitToPartitionsWithLag: true, topic }, /allowIdleConsumers and limitToPartitions/],
  [
    { limitToPartitionsWithLag: true, ensureEvenDistributionOfPartitions: true, topic },
    /limitToPartitionsWithLag and ensureEven.* exclude/
  ],
  [{ limitToPartitionsWithLag: true }, /limitToPartitionsWithLag needs a topic/],
  [{ ensureEvenDistributionOfPartitions: true }, /ensureEvenDistributionOfPartitions needs a topic/],
  [{ lagThreshold: 0 }, /lagThreshold must be/],
  [{ lagThreshold: 1.5 }, /lagThreshold must be/],
  [{ activationLagThreshold: -1 }, /activationLagThreshold must be/],
  [{ minReplicaCount: 5, maxReplicaCount: 4 }, /minReplicaCount is above/],
  [{ minReplicaCount: 1, idleReplicaCount: 1 }, /idleReplicaCount must be/],
  [{ partitionLimitation: '1,x', topic }, /"x"/],
  [{ partitionLimitation: '1-2-3', topic }, /"1-2-3"/],
  [{ partitionLimitation: '4294967296', topic }, /"4294967296"/],
  [{ tolerance: 2 }, /tolerance/]
]

for (const [options, reason] of refused) {
  test(`KEDA refuses ${JSON.stringify(options)}`, () => {
    const attempt = (): unknown => kedaReplicas({ options, partitions: lags(1) })
    assert.throws(attempt, error => PipelineError.is(error, 'ERR_OPS_KEDA_INVALID') && reason.test(error.message))
  })
}

test('a range of two thousand million partitions costs nothing', () => {
  const { metric } = kedaReplicas({ options: { topic, partitionLimitation: '0-2147483647' }, partitions: lags(3, 4) })
  assert.equal(metric, 7n)
})
