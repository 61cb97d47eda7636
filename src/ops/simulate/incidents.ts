/**
 * The two incidents that come with the package, as text: `comporta simulate incident-lag`. The files in
 * `examples/simulate` are the same, letter by letter.
 */

const INCIDENT_LAG = `# yaml-language-server: $schema=../../schema/simulation.schema.json
# The users' post-mortem: a deploy restarts three instances at once, the Lambda slows down, lag peaks at 1.2 million.
#   npx comporta simulate incident-lag --compare
name: the 47 minutes of mt-c400
startsAt: "10:00"
duration: 75m
sampleS: 5
arrival:
  recordsPerSecond: 10400 # 13,000 a second, of which mt-c400 gets 80 %
  keys: { type: codeAndTruck, codes: 20, trucks: 1000 } # hash(codigo + truck_id), 80/20 in both
topic: { name: mt-c400, partitions: 40, recordBytes: 200 }
group:
  instances: 10 # "40 partitions and 10 consumers"
  concurrency: 2 # assumed: a thread for each of the two virtual CPUs of a t3.medium
  batch: { recordsMax: 500, ageMs: 1000 }
  overheadMs: 60 # assumed: poll, encode, commit
  protocol: eager # the default of .NET's client
  sessionTimeoutMs: 45000
  rebalanceMs: 15000 # assumed: "a pause of seconds"
  drainsOnRevoke: false # "a few duplicates, which is acceptable"
target:
  baseMs: 68 # with 260 records, what comes in the second of a batch: 120 ms
  perRecordUs: 200
  spread: { lognormal: 0.3 }
  memoryMb: 128
  phases:
    # With 500 records: 950 ms. Sets in within three minutes (assumed); nobody says when it ended (assumed).
    - { from: "10:15", to: "11:01", ramp: 3m, rampOut: 10m, addMs: 782 }
events:
  - { at: "10:13", type: restart, instances: 3, isGraceful: false, downS: 60 }
alerts:
  - { name: lag alarm, lag: 350000, for: 1m } # threshold assumed
autoscale: # of the alarm's lag, after five minutes more; one instance each time (assumed)
  { policy: threshold, lag: 350000, for: 6m, step: 1, cooldownS: 240, bootS: 180, instancesMax: 13 }
whatIfs:
  - name: rolling update, one instance a minute
    set: { events.0.gapS: 60, events.0.downS: 30, events.0.isGraceful: true }
  - name: cooperative rebalances that drain
    set: { group.protocol: cooperative, group.drainsOnRevoke: true, group.rebalanceMs: 3000 }
  - name: batches of up to 2,000 while behind
    set: { group.batch.recordsMax: 2000 }
  - name: four batches at once per instance
    set: { group.concurrency: 4 }
  - name: autoscaling at lag 50,000, three at a time
    set: { autoscale.lag: 50000, autoscale.for: 1m, autoscale.step: 3 }
  - name: comporta scale, ten instances at least
    set: { autoscale: { policy: comporta, instancesMin: 10, bootS: 180 } }
  - name: autoscaling by drain time
    set: { autoscale: { policy: drainTime, drainS: 300, bootS: 180 } }
  - name: breaker, invocations cut off at 500 ms
    set: { target.timeoutMs: 500 }
  - name: the urgent fifth, with two consumers of its own
    set:
      arrival.factor: 0.2
      topic.partitions: 8
      group.instances: 2
      group.concurrency: 4
      events: []
      autoscale: null
  - name: rolling, cooperative, up to 2,000, four at once
    set:
      events.0.gapS: 60
      events.0.downS: 30
      events.0.isGraceful: true
      group.protocol: cooperative
      group.drainsOnRevoke: true
      group.rebalanceMs: 3000
      group.batch.recordsMax: 2000
      group.concurrency: 4
`

const INCIDENT_BACKLOG = `# yaml-language-server: $schema=../../schema/simulation.schema.json
# The users' second incident: 3,000,000 records wait, ten a second are done: 83 hours, and retention deletes meanwhile.
#   npx comporta simulate incident-backlog --compare
name: the three million
duration: 100h
sampleS: 300
arrival: { recordsPerSecond: 0 }
topic:
  name: transactions
  partitions: 3
  recordBytes: 2000 # 3,000,000 × 2 KB = 6 GB
  backlog: 3000000
  backlogAge: 2d # assumed
  retentionBytes: 3333333333 # 10 GB over three partitions
  retentionTime: 7d
  segmentBytes: 104857600
microBatch:
  intervalMs: 5000
  recordsPerSecond: 10 # "10 transactions a second, worst case"
  maxRatePerPartition: 100 # what the job needs to run at all: see the what-if without
  memoryBytes: 5000000000 # two workers × 2.5 GB
  timeoutMs: 600000
alerts:
  - { name: "lag > 1,000", lag: 1000 }
whatIfs:
  - name: as it was, everything in one batch
    set: { microBatch.maxRatePerPartition: null, microBatch.timeoutMs: 120000 }
  - name: memory for 8 GB, timeout of 120 s
    set: { microBatch.maxRatePerPartition: null, microBatch.timeoutMs: 120000, microBatch.memoryBytes: 8000000000 }
  - name: as it is drained, 100 a second come in
    set: { arrival.recordsPerSecond: 100 }
  - name: backpressure from 5,000 a second, at 10 a second
    set: { microBatch.maxRatePerPartition: 10000, microBatch.backpressure: { initialRate: 5000 } }
  - name: four cores, at 2,000 a second, capped
    set: { microBatch.maxRatePerPartition: 10000, microBatch.recordsPerSecond: 2000, microBatch.intervalMs: 2000 }
  - name: the same with backpressure from 5,000 a second, 100 a second come in
    set:
      arrival.recordsPerSecond: 100
      microBatch.maxRatePerPartition: 10000
      microBatch.backpressure: { initialRate: 5000 }
      microBatch.recordsPerSecond: 2000
      microBatch.intervalMs: 2000
  - name: comporta, a function of 1 s for 500 records, one batch per partition
    set: { microBatch: null, arrival.recordsPerSecond: 100, target.baseMs: 1000, target.memoryMb: 512 }
  - name: comporta, order by key, ten at once
    set:
      microBatch: null
      arrival.recordsPerSecond: 100
      group.order: key
      group.concurrency: 10
      target.baseMs: 1000
      target.memoryMb: 512
  - name: offsets reset to the end, as it was solved
    set: { events: [{ at: 10m, type: skipToEnd }] }
`

/** Simulation files by name. */
export const INCIDENTS: Readonly<Record<string, string>> = {
  'incident-lag': INCIDENT_LAG,
  'incident-backlog': INCIDENT_BACKLOG
}
