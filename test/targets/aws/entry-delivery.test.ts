/** Delivery of entries to a service of any mood: nothing is lost, order holds, the bad ones are found. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { batchAnswers } from '../../../src/targets/aws/message-settings.ts'
import { deliverEntries } from '../../../src/targets/aws/entry-delivery.ts'
import type { Entry } from '../../../src/targets/aws/entry-plan.ts'
import { indexedAnswers } from '../../../src/targets/aws/indexed-answers.ts'
import type { SinkFailure, SinkOutcome } from '../../../src/targets/sinks/record-sink.ts'

function sdkError(name: string, status: number): Error {
  return Object.assign(new Error('as the test says'), { name, $metadata: { httpStatusCode: status } })
}

/** A service in the process: it refuses bad entries, fails others at random, and throttles now and then. */
class Service {
  readonly delivered: number[] = []
  readonly #random: SeededRandom
  readonly #bad: ReadonlySet<number>
  readonly #throttleRatio: number
  readonly #openGroups = new Set<string>()
  openMost = 0
  #open = 0

  constructor(random: SeededRandom, bad: ReadonlySet<number>, throttleRatio: number) {
    this.#random = random
    this.#bad = bad
    this.#throttleRatio = throttleRatio
  }

  async send(entries: readonly Entry[]): Promise<ReadonlyMap<number, SinkFailure>> {
    const groups = new Set(entries.map(({ group }) => group).filter(group => group !== undefined))
    for (const group of groups) {
      assert.ok(!this.#openGroups.has(group), `group ${group} is in two requests at once`)
      this.#openGroups.add(group)
    }
    this.#open += 1
    this.openMost = Math.max(this.openMost, this.#open)
    try {
      for (let turns = randomInt(this.#random, 4); turns > 0; turns -= 1) await turn()
      return this.#answer(entries)
    } finally {
      this.#open -= 1
      for (const group of groups) this.#openGroups.delete(group)
    }
  }

  #answer(entries: readonly Entry[]): ReadonlyMap<number, SinkFailure> {
    if (this.#random.next() < this.#throttleRatio) throw sdkError('ThrottlingException', 400)
    if (entries.some(({ indexes }) => this.#bad.has(indexes[0] ?? -1))) throw sdkError('InvalidMessageContents', 400)
    const failures = new Map<number, SinkFailure>()
    for (const [position, { indexes }] of entries.entries()) {
      if (this.#random.next() < 0.05) failures.set(position, { action: 'retry', reason: 'later', isUnavailable: true })
      else this.delivered.push(...indexes)
    }
    return failures
  }
}

test('over services of every mood: every record is delivered or told of, and no group overtakes itself', async () => {
  const seed = Number(process.env['TEST_SEED'] ?? 4711)
  const random = new SeededRandom(seed)
  for (let round = 0; round < 150; round += 1) {
    const count = randomInt(random, 60)
    const entries = Array.from({ length: count }, (_, index) => ({
      indexes: [index],
      bytes: 1 + randomInt(random, 20),
      group: random.next() < 0.25 ? undefined : `g${randomInt(random, 6)}`
    }))
    const bad = new Set(Array.from({ length: count }, (_, index) => index).filter(() => random.next() < 0.05))
    const service = new Service(random, bad, random.next() < 0.3 ? 0.1 : 0)
    const concurrency = 1 + randomInt(random, 5)
    const outcome = await deliverEntries({
      entries,
      limits: { entriesMax: 1 + randomInt(random, 10), bytesMax: 20 + randomInt(random, 80), groupEntriesMax: 1 },
      concurrency,
      refused: new Map(),
      signal: new AbortController().signal,
      nowMs: () => 0,
      onSetupError: () => {},
      send: given => service.send(given)
    })
    const hint = `TEST_SEED=${seed}, round ${round}`
    assert.ok(service.openMost <= concurrency, hint)
    checkOutcome(outcome, { entries, bad, delivered: service.delivered, hint })
  }
})

interface Facts {
  readonly entries: readonly Entry[]
  readonly bad: ReadonlySet<number>
  readonly delivered: readonly number[]
  readonly hint: string
}

function checkOutcome(outcome: SinkOutcome, { entries, bad, delivered, hint }: Facts): void {
  const told = outcome.kind === 'partial' ? outcome.failures : new Map<number, SinkFailure>()
  assert.notEqual(outcome.kind, 'rejected', hint)
  if (outcome.kind === 'unavailable') assert.deepEqual(delivered, [], hint)
  if (outcome.kind === 'ok') assert.equal(bad.size, 0, hint)
  assert.equal(new Set(delivered).size, delivered.length, `${hint}: twice`)
  const heldGroups = new Set<string>()
  const order = new Map(delivered.map((index, place) => [index, place]))
  const lastPlace = new Map<string, number>()
  for (const [index, { group }] of entries.entries()) {
    const place = order.get(index)
    const failure = told.get(index)
    if (outcome.kind === 'partial') assert.equal(place === undefined, failure !== undefined, `${hint}: ${index}`)
    if (failure?.action === 'deadLetter') assert.ok(bad.has(index), `${hint}: ${index} is not bad`)
    if (group === undefined) continue
    if (failure?.action === 'retry') heldGroups.add(group)
    if (place === undefined) continue
    assert.ok(!heldGroups.has(group), `${hint}: ${index} overtook what must be sent again`)
    assert.ok((lastPlace.get(group) ?? -1) < place, `${hint}: ${index} out of order`)
    lastPlace.set(group, place)
  }
}

test('nothing to send is nothing to tell, and a delivery that begins too late sends nothing', async () => {
  const base = {
    limits: { entriesMax: 10, bytesMax: 100, groupEntriesMax: 1 },
    concurrency: 2,
    refused: new Map(),
    nowMs: () => 0,
    onSetupError: () => {},
    send: () => assert.fail('sent')
  }
  const calm = new AbortController().signal
  assert.deepEqual(await deliverEntries({ ...base, entries: [], signal: calm }), { kind: 'ok' })
  const late = AbortSignal.abort()
  const entries = [{ indexes: [0], bytes: 1, group: undefined }]
  assert.deepEqual(await deliverEntries({ ...base, entries, signal: late }), {
    kind: 'unavailable',
    reason: 'no time was left to send it'
  })
})

test('an entry that an answer does not speak of has not arrived', () => {
  const answers = batchAnswers(
    { Successful: [{ Id: '0' }, { Id: 'x' }], Failed: [{ Id: undefined, Code: 'X', SenderFault: true }] },
    3
  )
  assert.deepEqual(
    [...answers].map(([position, { code }]) => [position, code]),
    [
      [1, 'NoAnswer'],
      [2, 'NoAnswer']
    ]
  )
  assert.deepEqual([...batchAnswers({}, 1).keys()], [0])
  assert.deepEqual(
    [...indexedAnswers([{}, { ErrorCode: 'InternalFailure' }], 3)].map(([, { code }]) => code),
    ['InternalFailure', 'NoAnswer']
  )
})
