/**
 * The cluster that a conformance test talks to: the one that
 * `KAFKA_BOOTSTRAP` names (a real Apache Kafka, see `npm run test:kafka`), or
 * else an embedded broker of the test's own. The test does not know which.
 */

import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'

/** A cluster, for the length of one test. */
export interface TestCluster {
  /** `host:port[,host:port…]`. */
  readonly bootstrapServers: string
  /** Whether it is our broker; for a difference that is documented, never to weaken an expectation. */
  readonly isEmbedded: boolean
  /** A name that no other test uses, for topics, groups and transactional ids: all tests share one real cluster. */
  uniqueName(prefix?: string): string
}

/** What a test may ask of its cluster. */
export interface TestClusterOptions {
  /**
   * Settings of the embedded broker, on top of those that the real one is
   * started with. A test that needs a setting which Apache Kafka does not have
   * by default must be skipped there.
   */
  readonly brokerConfig?: Readonly<Record<string, string>>
}

/** The cluster under test; an embedded broker ends with the test. */
export async function clusterForTest(t: TestContext, options: TestClusterOptions = {}): Promise<TestCluster> {
  const given = process.env['KAFKA_BOOTSTRAP']
  if (given !== undefined && given !== '') return { bootstrapServers: given, isEmbedded: false, uniqueName }
  const { startBroker } = await import('../../src/broker/index.ts')
  const config = { 'group.initial.rebalance.delay.ms': '0', ...options.brokerConfig }
  const broker = await startBroker({ config })
  t.after(() => broker.close())
  return { bootstrapServers: broker.bootstrapServers, isEmbedded: true, uniqueName }
}

/** A name that is new each time, within Kafka's alphabet for topics. */
export function uniqueName(prefix = 'test'): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`
}
