/**
 * Bad records for `poison-burst`: each must end in the dead letter topic and must not harm what lies beside it in its
 * batch. Their ids stand at the start, whatever comes behind, so that the audit knows them again.
 */

import { Admin, Appender, type AppendRecord, type Cluster } from '../../client/index.ts'
import { PipelineError, systemClock } from '../../core/index.ts'
import { EXPECTATION, LEDGER_KIND, LedgerWriter } from '../../ops/index.ts'

/** Index of the runner among the producers of ledgers. */
const PRODUCER = 250
/** Above the limit of a Lambda payload (6 MB), below that of the topic for the time of the experiment. */
const OVERSIZED_BYTES = 6_500_000
const TOPIC_BYTES = 8_388_608
/** One in so many is oversized: each costs megabytes on its way. */
const OVERSIZED_EVERY = 100

/** A sound event's start, up to the place where each kind goes wrong. */
const head = (id: string): string => `{"id":"${id}","codigo":400,"truck_id":"T-00001","seq":1`

const kinds: readonly ((id: string) => Buffer)[] = [
  // Not finished.
  id => Buffer.from(head(id)),
  // Cut off in a text.
  id => Buffer.from(`${head(id)},"note":"cut o`),
  // Two values: a list that is built by joining texts would get one element more.
  id => Buffer.from(`${head(id)}}{"id":"0-1"}`),
  // A second element for whoever joins texts by commas.
  id => Buffer.from(`${head(id)}},{"id":"0-1","codigo":400}`),
  // The end of the list and of the envelope around it.
  id => Buffer.from(`${head(id)}}],"offsets":[1],"x":[{}`),
  // Not UTF-8.
  id => Buffer.concat([Buffer.from(`${head(id)},"note":"`), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from('"}')]),
  // A control character in a text.
  id => Buffer.from(`${head(id)},"note":"\u0000\u0001"}`),
  // Deep, and never closed.
  id => Buffer.from(`${head(id)},"note":${'['.repeat(50_000)}`),
  // Not a number of JSON.
  id => Buffer.from(`${head(id)},"value":NaN}`),
  // Refused by the service.
  id => Buffer.from(`${head(id)},"poison":true}`)
]

/** Index of the kind that is sound JSON and is refused behind the function. */
const REFUSED = kinds.length - 1

/** Writes bad records into a topic, and what is expected of them into a ledger. Returns when Kafka has them. */
export async function writePoison(options: {
  readonly cluster: Cluster
  readonly topic: string
  readonly deadLetters: string
  readonly count: number
  readonly ledgerPath: string
}): Promise<void> {
  const { cluster, topic, deadLetters, count, ledgerPath } = options
  await allowLarge(cluster, [topic, deadLetters])
  writeLedger(ledgerPath, LEDGER_KIND.produced, count)
  const appender = new Appender({ cluster, requestBytesMax: TOPIC_BYTES, bufferBytes: 2 * TOPIC_BYTES })
  let failure: PipelineError | undefined
  const listener = { delivered: () => undefined, failed: (error: PipelineError) => (failure ??= error) }
  for (let event = 0; event < count; event += 1) {
    const record = recordOf(topic, event)
    while (!appender.append(record, listener)) await appender.room()
  }
  await appender.close()
  if (failure !== undefined) throw failure
  writeLedger(ledgerPath, LEDGER_KIND.acknowledged, count)
}

function writeLedger(path: string, kind: number, count: number): void {
  const ledger = new LedgerWriter(path)
  const timeMs = systemClock.now()
  for (let event = 0; event < count; event += 1) {
    const detail = kindOf(event) === REFUSED ? EXPECTATION.poison | 1 : EXPECTATION.malformed
    ledger.append({ kind, producer: PRODUCER, event, detail, key: 0, keySequence: event, timeMs })
  }
  ledger.close()
}

function kindOf(event: number): number {
  return event % OVERSIZED_EVERY === OVERSIZED_EVERY - 1 ? -1 : event % kinds.length
}

function recordOf(topic: string, event: number): AppendRecord {
  const id = `${PRODUCER}-${event}`
  const value = kinds[kindOf(event)]?.(id) ?? oversized(id)
  return { topic, key: Buffer.from(`bad-${event}`), value }
}

function oversized(id: string): Buffer {
  return Buffer.from(`${head(id)},"note":"${'x'.repeat(OVERSIZED_BYTES)}"}`)
}

async function allowLarge(cluster: Cluster, topics: readonly string[]): Promise<void> {
  const value = String(TOPIC_BYTES)
  const results = await new Admin(cluster).alterConfigs(
    topics.map(name => ({
      resource: { type: 'topic', name },
      changes: [{ name: 'max.message.bytes', operation: 'set', value }]
    }))
  )
  const refused = results.find(each => each.errorCode !== 0)
  if (refused === undefined) return
  const reason = `${refused.name}: ${refused.errorName} ${refused.errorMessage ?? ''}`
  throw new PipelineError('ERR_OPS_REFUSED', `max.message.bytes cannot be raised: ${reason}`)
}
