/** When tokens are fetched, on a clock that stands still. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { refreshTimeMs } from '../../../src/cli/sasl/refresh-time.ts'
import { type FetchedToken, TokenKeeper } from '../../../src/cli/sasl/token-keeper.ts'
import { PipelineError, VirtualClock } from '../../../src/core/index.ts'
import { createMetrics } from '../../../src/telemetry/index.ts'
import { RecordingLogger } from '../../broker/support.ts'

const seconds = 1000
const minutes = 60 * seconds
/** Kafka's defaults. */
const windows = { windowFactor: 0.8, windowJitter: 0.05, minPeriodMs: minutes, bufferMs: 5 * minutes }

for (const [what, life, now, chance, expected] of [
  ['an hour: at 80 %', 60, 0, 0, 48],
  ['an hour, all of the jitter: at 85 %', 60, 0, 1, 51],
  ['fifteen minutes: five minutes before the end', 15, 0, 0, 10],
  ['six minutes: the times together are the life, and are ignored', 6, 0, 0, 4.8],
  ['one minute', 1, 0, 0, 0.8],
  ['an hour, seen late: not before a minute from now', 60, 47.5, 0, 48.5]
] as const) {
  test(`the next token is fetched in time: ${what}`, () => {
    const times = { nowMs: now * minutes, chance }
    assert.equal(refreshTimeMs({ startsAtMs: 0, expiresAtMs: life * minutes }, windows, times), expected * minutes)
  })
}

interface Setup {
  readonly clock: VirtualClock
  readonly keeper: TokenKeeper
  readonly logger: RecordingLogger
  readonly metrics: () => Promise<string>
  /** Has the token endpoint fail from now on, or not. */
  isFailing: boolean
  fetchedCount: number
}

/** Tokens that live ten minutes, called after their number. */
function setUp(t: TestContext): Setup {
  const clock = new VirtualClock()
  const logger = new RecordingLogger()
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const state = { isFailing: false, fetchedCount: 0 }
  const fetch = (): Promise<FetchedToken> => {
    if (state.isFailing) return Promise.reject(new PipelineError('ERR_CLI_CREDENTIALS_UNREACHABLE', 'nobody is there'))
    state.fetchedCount += 1
    const startsAtMs = clock.now()
    return Promise.resolve({ value: `t${state.fetchedCount}`, startsAtMs, expiresAtMs: startsAtMs + 10 * minutes })
  }
  const keeper = new TokenKeeper({
    fetch,
    windows: { ...windows, bufferMs: minutes },
    clock,
    random: { next: () => 0 },
    logger,
    meter: metrics.meter
  })
  t.after(() => keeper.close())
  return Object.assign(state, { clock, keeper, logger, metrics: () => metrics.prometheusText() })
}

test('a token is fetched once for all who ask, and anew in the background at 80 % of its life', async t => {
  const setup = setUp(t)
  const { clock, keeper } = setup
  assert.deepEqual(await Promise.all([keeper.token(), keeper.token()]), ['t1', 't1'])
  await clock.advance(8 * minutes - 1)
  assert.equal(await keeper.token(), 't1')
  await clock.advance(1)
  assert.equal(setup.fetchedCount, 2)
  assert.equal(await keeper.token(), 't2')
  await clock.advance(80 * minutes)
  assert.equal(setup.fetchedCount, 12)
})

test('while the endpoint fails the old token stays, it is tried again, and who asks too late hears why', async t => {
  const setup = setUp(t)
  const { clock, keeper, logger, metrics } = setup
  await keeper.token()
  setup.isFailing = true
  await clock.advance(8 * minutes)
  await clock.advance(minutes)
  assert.equal(await keeper.token(), 't1')
  const failures = logger.lines.filter(({ level }) => level === 'warn')
  assert.ok(failures.length >= 3 && failures.length <= 30, String(failures.length))
  assert.doesNotMatch(JSON.stringify(failures), /t1/)

  await clock.advance(minutes)
  await assert.rejects(keeper.token(), { code: 'ERR_CLI_CREDENTIALS_UNREACHABLE', message: 'nobody is there' })
  setup.isFailing = false
  assert.equal(await keeper.token(), 't2')
  const text = await metrics()
  assert.match(text, /comporta_kafka_token_expiry_seconds\S* 600\b/)
  assert.match(text, /comporta_kafka_token_refreshes_total\{outcome="fetched"[^}]*\} 2\b/)
})

test('one that is closed fetches no more', async t => {
  const setup = setUp(t)
  await setup.keeper.token()
  setup.keeper.close()
  await setup.clock.advance(60 * minutes)
  assert.equal(setup.fetchedCount, 1)
})

/*
 * Symptom: thousands of requests a second to the token endpoint. Cause: a token that has ended when it comes was to be
 * replaced at once, and so was the next one. Reach: a machine whose clock is ahead by the life of a token.
 */
test('tokens that have ended when they come are fetched more and more slowly', async t => {
  const clock = new VirtualClock()
  const logger = new RecordingLogger()
  const metrics = createMetrics()
  t.after(() => metrics.close())
  let fetchedCount = 0
  const keeper = new TokenKeeper({
    fetch: () => {
      fetchedCount += 1
      assert.ok(fetchedCount < 1000, 'fetched without a pause')
      return Promise.resolve({ value: 'secret', startsAtMs: clock.now(), expiresAtMs: clock.now() - 60 * minutes })
    },
    windows,
    clock,
    random: { next: () => 0.5 },
    logger,
    meter: metrics.meter
  })
  t.after(() => keeper.close())
  assert.equal(await keeper.token(), 'secret') // the broker judges
  await clock.advance(10 * minutes)

  // After 1, 2, 4, …, 60 seconds.
  assert.equal(fetchedCount, 1 + 6 + 8)
  assert.match(JSON.stringify(logger.lines), /look at the clock of this machine/)
  assert.doesNotMatch(JSON.stringify(logger.lines), /secret/)
})
