import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import { Breaker } from '../../../src/dispatcher/breaker.ts'
import { type Slot, type SlotLimits, SlotQueue } from '../../../src/dispatcher/slots.ts'

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 1e9))

/** Slots, nine partitions that always want something, and a target that fails now and then. */
class Chaos {
  readonly clock = new VirtualClock()
  readonly slots: SlotQueue
  readonly lanes: Promise<void>[]
  served = 0
  /** Most invocations at once for now. */
  allowed: number
  #isOver = false
  readonly #random: SeededRandom

  constructor(chaosSeed: number) {
    this.#random = new SeededRandom(chaosSeed)
    const limits = this.#limits()
    this.allowed = limits.concurrency
    this.slots = new SlotQueue({ ...limits, clock: this.clock, onBreaker: () => undefined })
    this.lanes = ['a', 'b', 'c'].flatMap(topic => [0, 1, 2].map(partition => this.#lane(topic, partition)))
  }

  pick(limit: number): number {
    return randomInt(this.#random, limit)
  }

  reconfigure(): void {
    const given = this.slots.inFlight // may go on
    const limits = this.#limits()
    this.slots.configure(limits)
    this.allowed = Math.max(given, limits.concurrency)
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.clock.advance(60_000)
    await Promise.all(this.lanes)
    this.slots.close()
  }

  #limits(): SlotLimits {
    const maybe = <T>(value: T): T | undefined => (this.pick(2) === 0 ? undefined : value)
    const breaker = { failuresMax: 1 + this.pick(5), openMs: 50 + this.pick(200), samplesMin: 5 }
    const inFlight = { recordsMax: maybe(100 + this.pick(300)), partitionBytesMax: maybe(10_000 + this.pick(10_000)) }
    const rate = { recordsPerSecond: maybe(2000 + this.pick(5000)), burstMs: 100 }
    const classOf = (name: string) => ({ name, topics: [name], share: 1 + this.pick(50), concurrency: maybe(1) })
    return {
      concurrency: 1 + this.pick(6),
      adaptiveConcurrency: { mode: (['off', 'dryRun', 'on'] as const)[this.pick(3)] ?? 'off', min: 1 },
      batch: { recordsMax: 100, bytesMax: 10_000, adaptive: maybe({ recordsMin: 5, latencyTargetMs: 40 }) },
      breaker: { ...breaker, failureRatio: maybe(0.5) },
      flow: { inFlight, rate },
      priorities: [classOf('a'), classOf('b'), classOf('c')],
      starvationMs: 1000
    }
  }

  async #lane(topic: string, partition: number): Promise<void> {
    while (!this.#isOver) {
      const abort = new AbortController()
      if (this.pick(20) === 0) this.clock.after(this.pick(30), () => abort.abort())
      const first = await this.slots.acquire(abort.signal, { topic, partition })
      if (first === undefined) continue
      if (this.pick(10) === 0) first.release({ kind: 'released' })
      else await this.#deliver(first, { topic, partition })
      first.end()
    }
  }

  async #deliver(first: Slot, at: { readonly topic: string; readonly partition: number }): Promise<void> {
    const never = new AbortController().signal
    let slot: Slot | undefined = first
    for (let tries = this.pick(3); tries >= 0; tries -= 1) {
      slot ??= await this.slots.acquire(never, { ...at, isUnderWay: true })
      slot?.charge({ records: 1 + this.pick(this.slots.recordsMax), bytes: 1 + this.pick(5000) })
      await new Promise<void>(resolve => this.clock.after(1 + this.pick(50), resolve))
      if (this.pick(4) === 0) slot?.release({ kind: 'failed', isThrottled: this.pick(2) === 0 })
      else slot?.release({ kind: 'answered', isRefusal: this.pick(5) === 0 })
      slot = undefined
    }
    this.served += 1
  }
}

test('whatever is changed, paused or aborted, limits hold and all are served, however sick the target', async () => {
  for (let round = 0; round < 15; round += 1) {
    const message = `seed ${seed + round}`
    const chaos = new Chaos(seed + round)
    const { slots, clock } = chaos
    for (let step = 0; step < 40; step += 1) {
      if (chaos.pick(4) === 0) chaos.reconfigure()
      if (chaos.pick(5) === 0) slots.hold()
      if (chaos.pick(3) === 0) slots.pausePartition('a', chaos.pick(3))
      await clock.advance(chaos.pick(100))
      assert.ok(slots.inFlight <= chaos.allowed, `${slots.inFlight} of ${chaos.allowed}, ${message}`)
      slots.resume()
      for (const partition of [0, 1, 2]) slots.resumePartition('a', partition)
    }
    slots.configure({ flow: { inFlight: {}, rate: { burstMs: 100 } } })
    const before = chaos.served
    // A breaker rests for up to 3 s before each probe, and one in four probes fails.
    for (let wait = 0; wait < 20 && chaos.served === before; wait += 1) await clock.advance(5000)
    assert.ok(chaos.served > before, `nobody was served any more, ${message}`)
    await chaos.end()
    const { inFlight, waiting, inFlightLimits } = slots.describe()
    assert.deepEqual([inFlight, waiting, inFlightLimits.records, inFlightLimits.bytes], [0, 0, 0, 0], message)
    assert.equal(clock.pendingCount, 0, `timers are left, ${message}`)
  }
})

// Every sequence of six events, for a breaker that opens at two in a row or by half of a window of four.
test('in every interleaving of answers and time one probe is out at most, and only it closes the breaker', () => {
  const events = ['ask', 'ok', 'fail', 'probeOk', 'probeFail', 'probeReleased', 'wait'] as const
  const length = 6
  for (let way = 0; way < events.length ** length; way += 1) {
    const options = { failuresMax: 2, openMs: 100, failureRatio: 0.5, windowMs: 1000, samplesMin: 4 }
    const breaker = new Breaker(options)
    let nowMs = 0
    let isProbeOut = false
    let rest = way
    for (let step = 0; step < length; step += 1) {
      const event = events[rest % events.length] ?? 'wait'
      rest = Math.floor(rest / events.length)
      const before = breaker.state
      if (event === 'wait') nowMs += 110
      else if (event === 'ask') {
        const permit = breaker.permit(nowMs)
        if (permit.kind === 'send' && before !== 'closed') assert.fail(`way ${way}: sent while ${before}`)
        if (permit.kind === 'probe' && isProbeOut) assert.fail(`way ${way}: two probes`)
        if (permit.kind === 'probe') isProbeOut = true
      } else if (event === 'ok' || event === 'fail') {
        if (event === 'ok') breaker.succeeded(false, nowMs)
        else breaker.failed(false, nowMs)
        // What was sent before it opened neither closes nor opens it.
        if (before !== 'closed' && breaker.state !== before) assert.fail(`way ${way}: a straggler changed it`)
      } else if (isProbeOut) {
        isProbeOut = false
        if (event === 'probeOk') breaker.succeeded(true, nowMs)
        else if (event === 'probeFail') breaker.failed(true, nowMs)
        else breaker.released(nowMs)
        const expected = event === 'probeOk' ? 'closed' : 'open'
        if (breaker.state !== expected) assert.fail(`way ${way}: ${breaker.state} after ${event}`)
      }
      if ((breaker.state === 'halfOpen') !== isProbeOut) assert.fail(`way ${way}: half open without a probe, or with`)
    }
  }
})
