/**
 * Damaged and absurd requests of every API in every version that the broker
 * advertises: each costs its own connection at most.
 *
 * `FUZZ=long` (npm run test:fuzz) sends as many as fit into FUZZ_SECONDS.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomInt, type Random, SeededRandom } from '../../../src/core/index.ts'
import { type AnyApi, apiByKey, decodeResponse, encodeRequest, type MessageCodec } from '../../../src/protocol/index.ts'
import { FuzzedBroker } from './fuzzed-broker.ts'
import { InventingReader, type Vocabulary } from './inventing-reader.ts'
import { hostileBatch } from './hostile-batches.ts'
import { damage } from './mutations.ts'

const isLong = process.env['FUZZ'] === 'long'
const seconds = isLong ? Number(process.env['FUZZ_SECONDS'] ?? 120) : 2
const AT_ONCE = 16
/** Requests that may rightly wait: for records, for members, or that have no answer (acks=0). */
const MAY_WAIT = new Set(['Produce', 'Fetch', 'JoinGroup', 'SyncGroup'])
const WAIT_MS = 20
/** Long enough for a busy machine; whoever waits so long has been forgotten. */
const ANSWER_MS = 10_000
/** A broker that is idle has about 100 MiB; what 16 requests of some kilobytes need is far below the rest. */
const MEMORY_MB_MAX = 400

interface Target {
  readonly api: AnyApi
  readonly version: number
}

interface Attack {
  readonly target: Target
  readonly request: Buffer
}

/** A codec whose message is whatever its own decoder made. */
type AnyCodec = MessageCodec<unknown, unknown>

async function targetsOf(broker: FuzzedBroker): Promise<Target[]> {
  const advertised = await broker.versions()
  return advertised.flatMap(({ apiKey, minVersion, maxVersion }) => {
    const api = apiByKey(apiKey)
    assert.ok(api !== undefined, `API ${apiKey}`)
    const versions = Array.from({ length: maxVersion - minVersion + 1 }, (_, index) => minVersion + index)
    return versions.filter(version => version >= api.minVersion).map(version => ({ api, version }))
  })
}

async function vocabularyOf(broker: FuzzedBroker, random: Random): Promise<Vocabulary> {
  const topics = ['plain', 'compacted', 'stamped']
  const uuids = [
    await broker.createTopic('plain', 3),
    await broker.createTopic('compacted', 2, { 'cleanup.policy': 'compact' }),
    await broker.createTopic('stamped', 1, { 'message.timestamp.type': 'LogAppendTime', 'compression.type': 'zstd' }),
    'AAAAAAAAAAAAAAAAAAAAAQ'
  ]
  const strings = [...topics, ...topics, 'group', 'group-2', 'member', 'consumer', 'range', 'uniform', 'transaction']
  strings.push('cleanup.policy', 'segment.bytes', 'compact', 'delete', '1048576', '-1', '1', 'true', 'User:x', '*')
  const bytes = Array.from({ length: 30 }, () => hostileBatch(random))
  return { strings, uuids, bytes }
}

function inventRequest({ api, version }: Target, random: Random, vocabulary: Vocabulary): Buffer {
  // The two sides of one codec: what its decoder makes, its encoder takes.
  const codec = api.request as unknown as AnyCodec
  const request = codec.read(new InventingReader(random, vocabulary), version)
  const asWriter = { ...api, request: codec }
  const header = { correlationId: randomInt(random, 0x7fff_ffff), clientId: random.next() < 0.2 ? null : 'fuzz' }
  return Buffer.concat(encodeRequest(asWriter, version, header, request))
}

async function attackOnce(broker: FuzzedBroker, { target, request }: Attack, random: Random): Promise<string> {
  const { api, version } = target
  const { bytes, isIncomplete, isIntact } = damage(request, random)
  const mayWait = isIncomplete || MAY_WAIT.has(api.name) || api.name.endsWith('Heartbeat')
  const outcome = await broker.attack(bytes, mayWait ? WAIT_MS : ANSWER_MS)
  const what = `${api.name} ${version}: ${bytes.toString('hex')}`
  if (outcome.kind === 'silent') assert.ok(mayWait, `no answer to ${what}`)
  if (outcome.kind === 'answered' && isIntact) {
    const answer = decodeResponse(api, version, outcome.frame)
    assert.equal(answer.correlationId, request.readInt32BE(8), what)
  }
  return outcome.kind
}

test('no request, however damaged, harms the broker or another client', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const broker = await FuzzedBroker.start(t)
  const vocabulary = await vocabularyOf(broker, random)
  const targets = await targetsOf(broker)
  const outcomes: Record<string, number> = {}
  const deadlineMs = performance.now() + seconds * 1000
  let sent = 0
  // A short run begins anywhere, and several together see everything.
  let next = randomInt(random, targets.length)
  while (performance.now() < deadlineMs) {
    const round = Array.from({ length: AT_ONCE }, () => {
      const target = targets[next++ % targets.length]
      assert.ok(target !== undefined)
      return { target, request: inventRequest(target, random, vocabulary) }
    })
    await Promise.all(
      round.map(async attack => {
        const outcome = await attackOnce(broker, attack, random)
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      })
    )
    sent += AT_ONCE
    const names = round.map(({ target }) => `${target.api.name} ${target.version}`).join(', ')
    if (sent % (4 * AT_ONCE) === 0) await broker.assertHealthy(`TEST_SEED=${seed}, request ${sent} (${names})`)
  }
  await broker.assertHealthy(`TEST_SEED=${seed}`)
  const peakMb = await broker.peakMb()
  t.diagnostic(`${sent} requests, ${JSON.stringify(outcomes)}, ${peakMb.toFixed(0)} MiB at the peak`)
  assert.ok(peakMb < MEMORY_MB_MAX, `the broker took ${peakMb.toFixed(0)} MiB`)
})
