/** The state of a transactional producer: its table of answers, every short course of events, a random coordinator. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  NEXT_PHASES,
  type TransactionPhase,
  TransactionState,
  transactionVerdict
} from '../../src/client/transaction-state.ts'
import { SeededRandom } from '../../src/core/index.ts'
import { KAFKA_ERRORS, type KafkaErrorName } from '../../src/protocol/index.ts'

const code = (name: KafkaErrorName): number => KAFKA_ERRORS[name].code

test('answers mean what they mean to Kafka’s own producer', () => {
  // Source: the handlers of Kafka 4.3's TransactionManager, and its Sender for Produce.
  const table = {
    InitProducerId: {
      PRODUCER_FENCED: 'fenced',
      INVALID_PRODUCER_EPOCH: 'fenced',
      CONCURRENT_TRANSACTIONS: 'retry',
      COORDINATOR_LOAD_IN_PROGRESS: 'retry',
      NOT_COORDINATOR: 'coordinator',
      TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'fatal',
      CLUSTER_AUTHORIZATION_FAILED: 'fatal'
    },
    AddPartitionsToTxn: {
      CONCURRENT_TRANSACTIONS: 'retry',
      UNKNOWN_TOPIC_OR_PARTITION: 'retry',
      COORDINATOR_NOT_AVAILABLE: 'coordinator',
      TOPIC_AUTHORIZATION_FAILED: 'abortable',
      OPERATION_NOT_ATTEMPTED: 'abortable',
      TRANSACTION_ABORTABLE: 'abortable',
      INVALID_TXN_STATE: 'fatal',
      INVALID_PRODUCER_EPOCH: 'fenced'
    },
    AddOffsetsToTxn: { GROUP_AUTHORIZATION_FAILED: 'abortable', NOT_COORDINATOR: 'coordinator' },
    TxnOffsetCommit: {
      ILLEGAL_GENERATION: 'member',
      UNKNOWN_MEMBER_ID: 'member',
      FENCED_INSTANCE_ID: 'member',
      STALE_MEMBER_EPOCH: 'member',
      GROUP_AUTHORIZATION_FAILED: 'abortable',
      REQUEST_TIMED_OUT: 'coordinator',
      COORDINATOR_LOAD_IN_PROGRESS: 'retry',
      PRODUCER_FENCED: 'fenced'
    },
    Produce: {
      // What took too long was aborted by the coordinator: the answer to the abort will tell.
      INVALID_PRODUCER_EPOCH: 'abortable',
      OUT_OF_ORDER_SEQUENCE_NUMBER: 'abortable',
      MESSAGE_TOO_LARGE: 'abortable',
      PRODUCER_FENCED: 'fenced',
      INVALID_PRODUCER_ID_MAPPING: 'fatal',
      TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'fatal'
    },
    EndTxn: {
      NONE: 'done',
      CONCURRENT_TRANSACTIONS: 'retry',
      COORDINATOR_NOT_AVAILABLE: 'coordinator',
      INVALID_PRODUCER_EPOCH: 'fenced',
      INVALID_TXN_STATE: 'fatal',
      TRANSACTION_ABORTABLE: 'abortable'
    }
  } as const
  for (const [request, answers] of Object.entries(table)) {
    for (const [name, verdict] of Object.entries(answers)) {
      const found = transactionVerdict(code(name as KafkaErrorName), request as keyof typeof table)
      assert.equal(found, verdict, `${request}: ${name}`)
    }
  }
})

/** One call, as far as it can be made without an argument. */
const EVENTS: Readonly<Record<string, (state: TransactionState) => unknown>> = {
  initialize: state => state.initialize(),
  initialized: state =>
    state.initialized({ producerId: 1n, producerEpoch: (state.identity?.producerEpoch ?? 0) + 1 }, 1),
  begin: state => state.begin(),
  admits: state => state.admits('t', 0),
  added: state => {
    state.adding()
    state.added(['t/0'])
  },
  group: state => state.addingGroup('g'),
  abortable: state => state.fail('abortable'),
  fatal: state => state.fail('fatal'),
  commit: state => state.end(true),
  abort: state => state.end(false),
  unsettled: state => state.commitUnsettled(),
  ended: state => state.ended({ producerId: 1n, producerEpoch: (state.identity?.producerEpoch ?? 0) + 1 })
}

/** Plays events; gives up at the first that is refused. */
function play(events: readonly string[]): { state: TransactionState; phases: TransactionPhase[] } | undefined {
  const state = new TransactionState()
  const phases: TransactionPhase[] = [state.phase]
  for (const event of events) {
    try {
      EVENTS[event]?.(state)
    } catch {
      return undefined
    }
    phases.push(state.phase)
  }
  return { state, phases }
}

test('every course of up to six events keeps to the table, and nothing that failed is committed', () => {
  const names = Object.keys(EVENTS)
  let playedCount = 0
  const explore = (events: readonly string[]): void => {
    const played = play(events)
    if (played === undefined) return
    playedCount += 1
    const { state, phases } = played
    const phase = phases.at(-1) ?? 'new'
    const before = phases.at(-2) ?? 'new'
    assert.ok(phase === before || NEXT_PHASES[before].includes(phase), `${before} to ${phase}: ${events.join(' ')}`)
    // The last transaction that was begun.
    const course = events.slice(events.lastIndexOf('begin'))
    const hasFailed = course.includes('abortable') && course.indexOf('abortable') < course.indexOf('commit')
    if (events.at(-1) === 'commit') assert.ok(!hasFailed, `committed after a failure: ${events.join(' ')}`)
    if (state.phase !== 'open') assert.equal(state.admits('other', 1), false)
    if (before === 'fatal') assert.equal(phase, 'fatal')
    if (before === 'aborting' && phase !== 'fatal' && phase !== 'aborting') assert.equal(phase, 'initializing')
    if (events.length < 6) for (const name of names) explore([...events, name])
  }
  explore(['initialize', 'initialized'])
  assert.ok(playedCount > 500, `${playedCount}`)
})

/** A coordinator, and a producer of the same id that may take over at any time. */
class Coordinator {
  epoch = 0
  status: 'empty' | 'ongoing' | 'committed' | 'aborted' = 'empty'
  /** What became of each transaction, by number. */
  readonly outcomes: string[] = []
  transaction = -1

  takeOver(): void {
    if (this.status === 'ongoing') this.#close('aborted')
    this.epoch += 1
  }

  write(epoch: number, transaction: number): string {
    if (epoch !== this.epoch) return 'INVALID_PRODUCER_EPOCH'
    this.status = 'ongoing'
    this.transaction = transaction
    return 'NONE'
  }

  /** Protocol 2: the end raises the epoch, and the same end once more is answered alike. */
  end(epoch: number, isCommit: boolean): string {
    const outcome = isCommit ? 'committed' : 'aborted'
    if (epoch === this.epoch - 1 && this.status === outcome) return 'NONE'
    if (epoch !== this.epoch) return 'PRODUCER_FENCED'
    if (this.status !== 'ongoing') return isCommit ? 'INVALID_TXN_STATE' : 'NONE'
    this.#close(outcome)
    this.epoch += 1
    return 'NONE'
  }

  #close(outcome: 'committed' | 'aborted'): void {
    this.outcomes[this.transaction] = outcome
    this.status = outcome
  }
}

test('what the producer says of a commit is what the coordinator did, whatever answers are lost', () => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  const random = new SeededRandom(seed)
  const counts = { committed: 0, aborted: 0, unknown: 0 }
  for (let run = 0; run < 2000; run += 1) {
    const coordinator = new Coordinator()
    const state = new TransactionState()
    state.initialize()
    state.initialized({ producerId: 1n, producerEpoch: coordinator.epoch }, 2)
    for (let transaction = 0; transaction < 4 && state.phase === 'ready'; transaction += 1) {
      const said = transact(state, { coordinator, random, transaction })
      counts[said] += 1
      const outcome = coordinator.outcomes[transaction] ?? 'aborted'
      if (said !== 'unknown') assert.equal(said, outcome, `TEST_SEED=${seed} run ${run} transaction ${transaction}`)
    }
  }
  assert.ok(counts.committed > 500 && counts.aborted > 100 && counts.unknown > 10, JSON.stringify(counts))
})

interface World {
  readonly coordinator: Coordinator
  readonly random: SeededRandom
  readonly transaction: number
}

/** One transaction as the runtime drives it. */
function transact(state: TransactionState, world: World): 'committed' | 'aborted' | 'unknown' {
  const { coordinator, random, transaction } = world
  const epoch = (): number => state.identity?.producerEpoch ?? -1
  const chance = (ratio: number): boolean => random.next() < ratio
  state.begin()
  if (chance(0.05)) coordinator.takeOver()
  assert.equal(state.admits('t', 0), true)
  const written = coordinator.write(epoch(), transaction)
  if (written !== 'NONE' || chance(0.1)) state.fail('abortable')
  if (chance(0.05)) coordinator.takeOver()
  const isCommit = state.phase === 'open'
  assert.equal(state.end(isCommit), 'send')
  for (;;) {
    const isArrived = chance(0.7)
    const name = isArrived ? coordinator.end(epoch(), isCommit) : 'lost'
    const isAnswered = isArrived && chance(0.7)
    if (chance(0.05)) coordinator.takeOver()
    if (!isAnswered) {
      state.commitUnsettled()
      continue
    }
    const verdict = transactionVerdict(code(name as KafkaErrorName), 'EndTxn')
    if (verdict === 'done') {
      state.ended({ producerId: 1n, producerEpoch: epoch() + 1 })
      return isCommit ? 'committed' : 'aborted'
    }
    const isUnknown = isCommit && state.isCommitUnknown
    state.fail('fatal')
    return isUnknown ? 'unknown' : 'aborted'
  }
}
