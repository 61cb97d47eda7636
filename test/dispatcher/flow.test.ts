import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { OffsetToCommit } from '../../src/client/index.ts'
import { PipelineError, SeededRandom, VirtualClock } from '../../src/core/index.ts'
import { CommitPump } from '../../src/dispatcher/commit-pump.ts'
import { Intake } from '../../src/dispatcher/intake.ts'
import { SlotQueue } from '../../src/dispatcher/slots.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

const MIB = 1_048_576

function intakeOf(bytesMax: number) {
  const log: string[] = []
  const fetcher = {
    pause: (topic: string, partition: number) => log.push(`pause ${topic}-${partition}`),
    resume: (topic: string, partition: number) => log.push(`resume ${topic}-${partition}`)
  }
  const lane = (partition: number) => ({
    topic: 't',
    partition,
    bufferedBytes: 0,
    pauseCount: 0,
    onPause(): void {
      this.pauseCount += 1
    }
  })
  const intake = new Intake<ReturnType<typeof lane>>(
    { pause: (...at) => void fetcher.pause(...at), resume: (...at) => void fetcher.resume(...at) },
    { bytesMax, laneBytesMin: MIB }
  )
  const hold = (target: ReturnType<typeof lane>, bytes: number): void => {
    target.bufferedBytes = bytes
    intake.changed(target)
  }
  return { intake, log, lane, hold }
}

test('a partition rests when its buffer is full and goes on when it is half empty', () => {
  const { intake, log, lane, hold } = intakeOf(8 * MIB)
  const [a, b] = [lane(0), lane(1)]
  intake.add(a)
  intake.add(b)
  hold(a, 4 * MIB)
  assert.deepEqual(log, ['pause t-0'])
  hold(a, 3 * MIB)
  assert.equal(log.length, 1)
  hold(a, 2 * MIB)
  assert.deepEqual(log, ['pause t-0', 'resume t-0'])
  assert.deepEqual([a.pauseCount, b.pauseCount], [1, 0])
})

test('when all buffers together are full, whoever still takes rests, until there is room', () => {
  const { intake, log, lane, hold } = intakeOf(4 * MIB)
  const lanes = [0, 1, 2, 3, 4, 5, 6, 7].map(lane)
  for (const each of lanes) intake.add(each)
  for (const each of lanes) hold(each, 900_000)
  assert.equal(intake.pausedCount, 4) // the fifth reached the limit; it and all after it rest
  for (const each of lanes.slice(0, 4)) hold(each, 0)
  assert.equal(log.filter(line => line.startsWith('resume')).length, 0) // their own buffers are over half
  for (const each of lanes) hold(each, 0)
  assert.equal(intake.pausedCount, 0)
  assert.equal(intake.totalBytes, 0)
})

test('while the target is down a partition rests as soon as it has something, new ones too', () => {
  const { intake, log, lane, hold } = intakeOf(8 * MIB)
  const [a, b] = [lane(0), lane(1)]
  intake.add(a)
  hold(a, 1000)
  intake.setTargetDown(true)
  intake.add(b)
  assert.deepEqual(log, ['pause t-0'])
  hold(b, 1000)
  assert.deepEqual(log, ['pause t-0', 'pause t-1'])
  intake.setTargetDown(false)
  assert.deepEqual(log.slice(2), ['resume t-0', 'resume t-1'])
})

// Symptom: after an outage the partitions of one dispatcher stood still for good. Cause: only a batch can probe the
// target, and partitions that came while the breaker was open were paused before they had any record. Reach: whoever
// lost or gave back all its partitions during an outage and got others.
test('a partition without records is fetched although the target is down, or nobody would ever probe it', () => {
  const { intake, log, lane, hold } = intakeOf(8 * MIB)
  const [held, fresh] = [lane(0), lane(1)]
  intake.add(held)
  hold(held, 1000)
  intake.setTargetDown(true)
  intake.remove(held) // lost to the group
  intake.add(fresh)
  assert.equal(intake.isPaused(fresh), false)
  hold(fresh, 1000)
  assert.equal(intake.isPaused(fresh), true) // and is told so: what it has is due
  assert.equal(fresh.pauseCount, 1)
  hold(fresh, 0) // what it had were no records, or they are at the target as its probe
  assert.equal(intake.isPaused(fresh), false)
  assert.deepEqual(log, ['pause t-0', 'pause t-1', 'resume t-1'])
})

test('a partition that leaves gives its bytes back and is never resumed', () => {
  const { intake, log, lane, hold } = intakeOf(2 * MIB)
  const [a, b] = [lane(0), lane(1)]
  intake.add(a)
  intake.add(b)
  hold(a, 2 * MIB)
  hold(b, 100_000)
  assert.deepEqual(log, ['pause t-0', 'pause t-1'])
  intake.remove(a)
  assert.deepEqual(log, ['pause t-0', 'pause t-1', 'resume t-1'])
  hold(a, 5 * MIB) // a late word of a lane that is gone
  assert.equal(intake.totalBytes, 100_000)
})

test('a partition that an operator pauses rests whatever it has, also when it comes again, until it is resumed', () => {
  const { intake, log, lane, hold } = intakeOf(8 * MIB)
  const [a, b] = [lane(0), lane(1)]
  intake.add(a)
  intake.hold(a)
  intake.hold(b) // not here yet
  assert.deepEqual(log, ['pause t-0'])
  hold(a, 1000)
  hold(a, 0)
  intake.setTargetDown(true)
  intake.setTargetDown(false)
  intake.add(b)
  assert.deepEqual(log, ['pause t-0', 'pause t-1'])
  assert.deepEqual([intake.reasonOf(a), intake.reasonOf(b)], ['operator', 'operator'])
  intake.remove(a)
  const again = lane(0)
  intake.add(again)
  assert.equal(intake.isPaused(again), true)
  intake.unhold(again)
  intake.unhold(b)
  assert.deepEqual(log.slice(2), ['pause t-0', 'resume t-0', 'resume t-1'])
})

test('what an operator resumes still rests for a full buffer or a target that is down', () => {
  const { intake, log, lane, hold } = intakeOf(8 * MIB)
  const [a, b] = [lane(0), lane(1)]
  intake.add(a)
  intake.add(b)
  intake.hold(a)
  hold(a, 5 * MIB)
  intake.unhold(a)
  assert.equal(intake.reasonOf(a), 'partitionBuffer')
  hold(b, 1000)
  intake.setTargetDown(true)
  intake.hold(b)
  intake.unhold(b)
  assert.equal(intake.reasonOf(b), 'targetDown')
  assert.deepEqual(
    intake.describe().paused.map(({ partition, reason }) => [partition, reason]),
    [
      [0, 'partitionBuffer'],
      [1, 'targetDown']
    ]
  )
  assert.ok(log.length > 0)
})

test('a target that is down rests its own partitions and no others', () => {
  const log: string[] = []
  const fetcher = {
    pause: (topic: string) => void log.push(`pause ${topic}`),
    resume: (topic: string) => void log.push(`resume ${topic}`)
  }
  const lanes = ['mails', 'orders'].map(topic => ({
    topic,
    partition: 0,
    bufferedBytes: 1000,
    onPause: () => undefined
  }))
  const intake = new Intake(fetcher, { bytesMax: 8 * MIB, laneBytesMin: MIB }, lane => lane.topic)
  for (const each of lanes) intake.add(each)
  for (const each of lanes) intake.changed(each)
  intake.setTargetDown(true, 'mails')
  for (const each of lanes) intake.changed(each)
  assert.deepEqual(log, ['pause mails'])
  intake.setTargetDown(false, 'mails')
  assert.deepEqual(log, ['pause mails', 'resume mails'])
})

interface Request {
  offsets: readonly OffsetToCommit[]
  succeed(): void
  fail(error: Error): void
}

function pumpOf() {
  const clock = new VirtualClock()
  const requests: Request[] = []
  const committed: string[] = []
  const lateness: boolean[] = []
  const pump = new CommitPump({
    commitOffsets: offsets => new Promise((succeed, fail) => requests.push({ offsets, succeed, fail })),
    onCommitted: ({ partition, offset }) => committed.push(`${partition}@${offset}`),
    movesMax: 3,
    onLate: isLate => lateness.push(isLate),
    clock,
    random: new SeededRandom(1),
    logger: silentLogger
  })
  const move = (partition: number, offset: bigint): void => pump.move({ topic: 't', partition, offset })
  const offsetsOf = (index: number) => requests[index]?.offsets.map(({ partition, offset }) => `${partition}@${offset}`)
  return { clock, pump, requests, committed, lateness, move, offsetsOf }
}

test('one commit is under way at a time, and the next has the newest offset of each partition', async () => {
  const { clock, requests, committed, move, offsetsOf } = pumpOf()
  move(0, 10n)
  move(0, 20n)
  move(1, 5n)
  move(0, 30n)
  await clock.advance(0)
  assert.equal(requests.length, 1)
  assert.deepEqual(offsetsOf(0), ['0@10'])
  requests[0]?.succeed()
  await clock.advance(0)
  assert.deepEqual(offsetsOf(1), ['0@30', '1@5'])
  requests[1]?.succeed()
  await clock.advance(0)
  assert.equal(requests.length, 2)
  assert.deepEqual(committed, ['0@10', '0@30', '1@5'])
})

test('a failed commit is tried again with newer offsets, after a wait', async () => {
  const { clock, requests, committed, move, offsetsOf } = pumpOf()
  move(0, 10n)
  move(1, 7n)
  requests[0]?.fail(new PipelineError('ERR_CORE_ABORTED', 'no connection'))
  await clock.advance(0)
  move(0, 11n)
  await clock.advance(20)
  assert.equal(requests.length, 1)
  await clock.advance(1000)
  assert.deepEqual(offsetsOf(1)?.toSorted(), ['0@11', '1@7'])
  requests[1]?.succeed()
  await clock.advance(0)
  assert.deepEqual(committed.toSorted(), ['0@11', '1@7'])
})

test('offsets of a partition that was lost are neither retried nor told as committed', async () => {
  const { clock, pump, requests, committed, move, offsetsOf } = pumpOf()
  move(0, 10n)
  await clock.advance(0)
  move(0, 12n)
  move(1, 3n)
  pump.forget([{ topic: 't', partition: 0 }])
  requests[0]?.fail(new PipelineError('ERR_CORE_ABORTED', 'fenced'))
  await clock.advance(1000)
  assert.deepEqual(offsetsOf(1), ['1@3'])
  requests[1]?.succeed()
  await clock.advance(0)
  assert.deepEqual(committed, ['1@3'])
})

// Symptom: nearly everything was delivered twice after a broker stood still for longer than the sessions. Cause:
// dispatchers delivered all they had buffered while no commit was accepted. Reach: `bufferBytes` of each member.
test('commits are late when as many moves wait as may, until some are accepted or all are given up', async () => {
  const { clock, pump, requests, lateness, move } = pumpOf()
  move(0, 10n) // goes at once
  move(0, 20n)
  assert.deepEqual(lateness, [])
  move(1, 5n) // the third
  assert.deepEqual(lateness, [true])
  requests[0]?.succeed()
  await clock.advance(0)
  assert.deepEqual(lateness, [true, false])
  requests[1]?.fail(new PipelineError('ERR_CORE_ABORTED', 'no connection'))
  await clock.advance(0)
  move(1, 6n) // two have failed and are still to be committed
  assert.deepEqual(lateness, [true, false, true])
  move(1, 7n)
  move(1, 8n)
  pump.forget([0, 1].map(partition => ({ topic: 't', partition })))
  assert.deepEqual(lateness, [true, false, true, false])
  await clock.advance(1000)
  move(0, 30n)
  move(0, 31n)
  assert.deepEqual(lateness, [true, false, true, false]) // those given up count no more
})

test('while the slots are held nobody gets leave, and afterwards all do in turn', async () => {
  const clock = new VirtualClock()
  const breaker = { failuresMax: 5, openMs: 1000 }
  const slots = new SlotQueue({ concurrency: 2, breaker, clock, onBreaker: () => undefined })
  const given: number[] = []
  const never = new AbortController().signal
  const first = await slots.acquire(never)
  slots.hold()
  for (const number of [1, 2]) void slots.acquire(never).then(() => given.push(number))
  first?.release({ kind: 'answered' })
  await clock.advance(0)
  assert.deepEqual([given, slots.inFlight, slots.waitingCount], [[], 0, 2])
  slots.resume()
  await clock.advance(0)
  assert.deepEqual([given, slots.inFlight], [[1, 2], 2])
})

test('flush waits until everything is accepted', async () => {
  const { clock, pump, requests, move } = pumpOf()
  let isFlushed = false
  await pump.flush()
  move(0, 1n)
  move(0, 2n)
  void pump.flush().then(() => (isFlushed = true))
  requests[0]?.succeed()
  await clock.advance(0)
  assert.equal(isFlushed, false)
  requests[1]?.succeed()
  await clock.advance(0)
  assert.equal(isFlushed, true)
})
