/**
 * `comporta chaos` on a cluster that is not ours: Apache Kafka. It holds, and it leaves nothing behind: neither after a
 * run to the end nor (`JVM_TESTS=long`) after Ctrl-C in the middle of the harm.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { runChaos } from '../../src/cli/chaos/run.ts'
import { Admin, Cluster } from '../../src/client/index.ts'
import { type ChaosReport, experimentsNamed } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { startKafkaJvm } from '../support/kafka-jvm.ts'
import { isLongRun } from './tools.ts'

interface Question {
  readonly brokers: string
  readonly names: readonly string[]
  /** Called with each line of the timeline. */
  readonly onEvent?: (text: string, stop: () => void) => void
}

async function reportsOf(t: TestContext, { brokers, names, onEvent }: Question): Promise<ChaosReport[]> {
  const stop = new AbortController()
  return await runChaos({
    experiments: experimentsNamed(names),
    brokers,
    ratePerSecond: 300,
    steadyMs: 400,
    recordsMin: 0,
    logLevel: 'info',
    logger: silentLogger,
    signal: stop.signal,
    keepIn: temporaryFolder(t),
    onEvent: ({ text }) => onEvent?.(text, () => stop.abort())
  })
}

test('experiments on Apache Kafka hold, skip what they must not harm, and leave neither topics nor groups', async t => {
  const kafka = await startKafkaJvm()
  t.after(() => kafka.close())
  const brokers = kafka.bootstrapServers
  const cluster = await Cluster.connect({ bootstrapServers: [brokers], clientId: 'look' })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  await admin.createTopics([{ topic: 'not-ours', partitionCount: 1, replicationFactor: 1 }])
  const left = async (): Promise<string[]> => {
    const { topics } = await admin.listTopics()
    const groups = await admin.listGroups()
    return [
      ...topics.map(each => each.topic).filter(each => !each.startsWith('__')),
      ...groups.map(each => each.groupId)
    ]
  }

  const [killed, skipped] = await reportsOf(t, { brokers, names: ['kill-producer', 'broker-kill'] })
  assert.equal(killed?.verdict, 'holds', killed?.reasons.join('; '))
  assert.equal(skipped?.verdict, 'skipped')
  assert.match(skipped?.reasons.join() ?? '', /a broker of another cluster is not ours to stop/)
  assert.deepEqual(await left(), ['not-ours'])

  if (!isLongRun) return
  const onEvent = (text: string, stop: () => void): void => {
    if (text === 'SIGSTOP: one dispatcher') setTimeout(stop, 200)
  }
  const [frozen] = await reportsOf(t, { brokers, names: ['stop'], onEvent })
  assert.equal(frozen?.verdict, 'interrupted')
  assert.deepEqual(await left(), ['not-ours'])
})
