/** The planner: numbers computed by hand, and the limits of MSK. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { brokerLimit } from '../../../src/ops/partitions/msk-limits.ts'
import { divisorsOf, type PartitionFacts, planPartitions } from '../../../src/ops/partitions/plan.ts'

type Facts = Omit<Partial<PartitionFacts>, 'cluster'> & { readonly cluster?: Partial<PartitionFacts['cluster']> }

function facts({ cluster, ...more }: Facts = {}): PartitionFacts {
  return {
    topic: 'mt-c400',
    partitions: 8,
    replicationFactor: 3,
    isCompacted: false,
    peakIn: 13_000,
    consumersWanted: 0,
    consumers: 8,
    backlog: 0,
    targetDrainSeconds: 600,
    growth: 1,
    ...more,
    cluster: { profile: 'self', brokers: 3, replicas: 24, compacted: 0, ...cluster }
  }
}

test('13,000 records/s at 1,000/s per partition need 13; 16 is the next multiple of 8', () => {
  const plan = planPartitions(facts({ perPartitionOut: 1000 }))
  assert.equal(plan.needed, 13)
  assert.equal(plan.verdict, 'grow')
  // From 13 to 19 only 16 is a multiple of 8; of the others 18 has most divisors.
  assert.equal(plan.recommended, 16)
  assert.deepEqual(plan.evenMembers, [1, 2, 4, 8, 16])
  assert.deepEqual(plan.alternatives[0], { count: 18, evenMembers: [1, 2, 3, 6, 9, 18] })
})

test('the largest of in, out, consumers and drain decides', () => {
  const given = {
    peakIn: 6000,
    perPartitionIn: 3000,
    perPartitionOut: 1000,
    consumersWanted: 5,
    backlog: 3_000_000,
    targetDrainSeconds: 600
  }
  const plan = planPartitions(facts(given))
  // In 2; out 6; consumers 5; drain (6000 + 3,000,000 / 600) / 1000 = 11.
  assert.deepEqual(
    plan.needs.map(({ count }) => count),
    [2, 6, 5, 11]
  )
  assert.equal(plan.needed, 11)
  // From 11 to 16.
  assert.equal(plan.recommended, 16)
})

test('a margin for growth counts on both sides', () => {
  const plan = planPartitions(facts({ peakIn: 1000, growth: 1.5, perPartitionOut: 100, perPartitionIn: 500 }))
  assert.deepEqual(
    plan.needs.map(({ count }) => count),
    [3, 15]
  )
})

test('what is enough stays as it is, and the review question is answered', () => {
  const plan = planPartitions(facts({ partitions: 40, consumers: 10, perPartitionOut: 400, peakIn: 13_000 }))
  assert.equal(plan.verdict, 'enough')
  assert.equal(plan.recommended, 40)
  assert.equal(
    plan.answer,
    '40 partitions and 10 consumers: 33 are needed (13,000/s out, 400/s per partition); each consumer has 4; ' +
      '7 are reserve: up to 40 consumers without a growth.'
  )
})

test('a group size that does not divide the count is uneven, one above it has idle members', () => {
  const uneven = planPartitions(facts({ partitions: 40, consumers: 12 }))
  assert.match(uneven.answer, /4 consumers have 4 and 8 have 3: uneven/)
  const idle = planPartitions(facts({ partitions: 6, consumers: 10 }))
  assert.match(idle.answer, /4 of 10 consumers have nothing to do/)
})

test('one hot key, a slow target, few consumers and busy ones: more partitions do not help', () => {
  const base = { perPartitionOut: 1000 }
  const reasons = (more: Facts): readonly string[] => planPartitions(facts({ ...base, ...more })).obstacles
  assert.match(reasons({ hotKeyShare: 0.8, hotKey: '300' })[0] ?? '', /the key 300 has 80 % of the traffic, 10,400\/s/)
  assert.match(reasons({ targetRate: 9000 })[0] ?? '', /the target takes 9,000\/s/)
  assert.match(reasons({ consumers: 3 })[0] ?? '', /3 consumers share 8 partitions/)
  assert.match(reasons({ consumerCpu: 0.9 })[0] ?? '', /90 % of their processor/)
  const plan = planPartitions(facts({ ...base, hotKeyShare: 0.8 }))
  assert.equal(plan.verdict, 'willNotHelp')
  assert.equal(plan.recommended, 8)
  assert.deepEqual(reasons({ hotKeyShare: 0.05, consumers: 8, consumerCpu: 0.3, targetRate: 20_000 }), [])
})

test('limits of MSK brokers are those of its guide', () => {
  const table = [
    ['standard', 'kafka.t3.small', 300, 300],
    ['standard', 'kafka.m5.large', 1000, 1500],
    ['standard', 'kafka.m7g.xlarge', 1000, 1500],
    ['standard', 'kafka.m7g.2xlarge', 2000, 3000],
    ['standard', 'kafka.m7g.4xlarge', 4000, 6000],
    ['standard', 'kafka.m5.24xlarge', 4000, 4000],
    ['express', 'express.m7g.large', 1000, 1500],
    ['express', 'express.m7g.4xlarge', 6000, 8000],
    ['express', 'express.m7g.16xlarge', 20_000, 32_000]
  ] as const
  for (const [profile, type, recommended, max] of table)
    assert.deepEqual(brokerLimit(profile, type), { recommended, max }, type)
  assert.equal(brokerLimit('standard', 'kafka.m9.tiny'), undefined)
  assert.equal(brokerLimit('serverless', 'kafka.m5.large'), undefined)
})

test('replicas of all topics count against the brokers', () => {
  // 3 brokers × 1000 recommended = 3000; others have 2976 - 24 = 2952; (3000 - 2952) / 3 = 16. At most (4500 -
  // 2952) / 3.
  const cluster = { profile: 'standard', brokerType: 'kafka.m5.large', brokers: 3, replicas: 2976 } as const
  const plan = planPartitions(facts({ perPartitionOut: 500, cluster }))
  assert.deepEqual(
    plan.caps.map(({ count, isHard }) => [count, isHard]),
    [
      [16, false],
      [516, true]
    ]
  )
  assert.equal(plan.needed, 26)
  assert.equal(plan.recommended, 16)
  assert.ok(plan.warnings.some(text => text.includes('the need of 26 is above what the cluster takes, 16')))
})

test('Serverless: 2,400 leaders in all, 120 of compacted topics, 5 MB/s in and 10 MB/s out per partition', () => {
  const cluster = { profile: 'serverless', replicas: 2390, compacted: 100, brokers: 0 } as const
  const plan = planPartitions(
    facts({ peakIn: 40_000, recordBytes: 2000, replicationFactor: 1, isCompacted: true, cluster })
  )
  // 40,000 × 2,000 bytes = 80 MB/s: 16 by what comes in, 8 by what goes out.
  assert.deepEqual(
    plan.needs.map(({ count }) => count),
    [16, 8]
  )
  assert.deepEqual(
    plan.caps.map(({ count }) => count),
    [18, 28]
  )
  assert.ok(plan.recommended <= 18)
})

test('Express: 15 MB/s per partition', () => {
  const cluster = { profile: 'express', brokerType: 'express.m7g.large', brokers: 3 } as const
  const plan = planPartitions(facts({ peakIn: 100_000, recordBytes: 1800, cluster }))
  assert.deepEqual(
    plan.needs.map(({ count }) => count),
    [12]
  )
})

test('what was not measured is said, and nothing is made up: enough is what was seen to keep up', () => {
  const plan = planPartitions(facts())
  assert.deepEqual(plan.needs, [])
  assert.equal(plan.verdict, 'unknown')
  assert.ok(plan.warnings.some(text => text.startsWith('what a partition gives is not measured')))
  const kept = planPartitions(facts({ keepsUpAt: 13_000 }))
  assert.equal(kept.verdict, 'enough')
  assert.match(kept.answer, /^8 partitions and 8 consumers: they keep up with 13,000\/s; each consumer has 1; up to 8/)
  assert.equal(planPartitions(facts({ keepsUpAt: 12_999 })).verdict, 'unknown')
})

test('a compacted topic and a count that is no multiple are warned of', () => {
  const { warnings } = planPartitions(
    facts({ partitions: 10, perPartitionOut: 1000, isCompacted: true, consumers: 10 })
  )
  assert.ok(warnings.some(text => text.includes('compacted')))
  assert.ok(warnings.some(text => text.startsWith('18 is no multiple of 10')))
})

test('divisors are the group sizes that share evenly', () => {
  assert.deepEqual(divisorsOf(48), [1, 2, 3, 4, 6, 8, 12, 16, 24, 48])
  assert.deepEqual(divisorsOf(1), [1])
})
