/** Certificates of the client that change while it appends and fetches, on Apache Kafka with mutual TLS. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { connectRole } from '../../src/cli/wiring.ts'
import { Admin, Appender, Cluster, Fetcher } from '../../src/client/index.ts'
import { type KafkaConfig, parsePipeline } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { RecordCursor } from '../../src/protocol/index.ts'
import { RecordingLogger } from '../broker/support.ts'
import { Authority, type CertificatePair } from '../support/certificates.ts'
import { type KafkaJvm, startKafkaJvm } from '../support/kafka-jvm.ts'

const partitionCount = 4
const topic = 'events'

function kafkaOf(bootstrapServers: string, dir: string): KafkaConfig {
  const path = (name: string): string => join(dir, name)
  const tls = `{ ca: ${path('broker-ca.pem')}, cert: ${path('client.pem')}, key: ${path('client-key.pem')} }`
  const text = `name: x\nkafka:\n  bootstrapServers: ${bootstrapServers}\n  connectTimeoutMs: 30000\n  tls: ${tls}\n`
  const { kafka } = parsePipeline(text, { fileName: 'x', environment: {} })
  assert.ok(typeof kafka.tls === 'object')
  return { ...kafka, tls: { ...kafka.tls, reloadMs: 50, expiryWarningDays: 0 } }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for: ${what}`)
    await sleep(systemClock, 10)
  }
}

/** Numbered records that are appended without end, and those that were fetched. */
class Traffic {
  readonly fetched: number[] = []
  made = 0
  failed = 0
  readonly #appender: Appender
  readonly #fetcher: Fetcher
  readonly #load: Promise<void>
  #isOn = true

  constructor(cluster: Cluster) {
    this.#appender = new Appender({ cluster, lingerMs: 2 })
    this.#fetcher = new Fetcher({
      cluster,
      // A topic that was just created has leaders a moment later.
      onPartitionError: ({ error, willRetry }) => {
        if (!willRetry) assert.fail(error)
      },
      onRecords: ({ records }) => {
        const cursor = new RecordCursor()
        cursor.reset(records)
        while (cursor.nextBatch()) {
          while (cursor.nextRecord()) this.fetched.push(Number(cursor.value()?.toString()))
        }
      }
    })
    for (let partition = 0; partition < partitionCount; partition += 1) {
      this.#fetcher.add({ topic, partition, offset: 0n })
    }
    this.#fetcher.start()
    this.#load = this.#append()
  }

  /** Ends the load, waits until all of it was fetched, and closes. */
  async stop(): Promise<void> {
    if (!this.#isOn) return
    this.#isOn = false
    await this.#load
    await this.#appender.close()
    await until('all records', () => this.fetched.length >= this.made)
    await this.#fetcher.close()
  }

  async #append(): Promise<void> {
    const failed = (_: unknown, all: readonly unknown[]): void => void (this.failed += all.length)
    const listener = { delivered: () => undefined, failed }
    while (this.#isOn) {
      for (let index = 0; index < 20; index += 1) {
        const record = { topic, key: Buffer.from(`k${this.made % 16}`), value: Buffer.from(String(this.made)) }
        if (this.#appender.append(record, listener)) this.made += 1
        else await this.#appender.room()
      }
      await sleep(systemClock, 1)
    }
  }
}

interface Parts {
  readonly brokers: Authority
  readonly before: Authority
  readonly after: Authority
  readonly write: (name: string, text: string) => string
}

/** Apache Kafka that trusts both authorities of clients. */
async function mutualTlsKafka(t: TestContext, { brokers, before, after, write }: Parts): Promise<KafkaJvm> {
  const broker = brokers.issue({ name: 'broker', isServer: true })
  const kafka = await startKafkaJvm({
    overrides: {
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:SSL',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': write('broker.pem', broker.key + broker.cert),
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': write('clients.pem', brokers.cert + before.cert + after.cert),
      'ssl.client.auth': 'required'
    }
  })
  t.after(() => kafka.close())
  return kafka
}

/** Has the broker trust these alone from now on. */
async function trustOnly(cluster: Cluster, file: string): Promise<void> {
  const change = { name: 'listener.name.plaintext.ssl.truststore.location', operation: 'set', value: file } as const
  const [changed] = await new Admin(cluster).alterConfigs([
    { resource: { type: 'broker', name: '1' }, changes: [change] }
  ])
  assert.equal(changed?.errorCode, 0, changed?.errorMessage ?? '')
}

test('a client certificate is replaced under load, by one of another authority', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-jvm-certificates-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const write = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const install = ({ cert, key }: CertificatePair): void => {
    write('client.pem', cert)
    write('client-key.pem', key)
  }
  const [brokers, before, after] = [new Authority('brokers'), new Authority('before'), new Authority('after')]
  const old = before.issue({ name: 'old' })
  install(old)
  write('broker-ca.pem', brokers.cert)
  const kafka = await mutualTlsKafka(t, { brokers, before, after, write })
  const logger = new RecordingLogger()
  const cluster = await connectRole(kafkaOf(kafka.bootstrapServers, dir), 'test', { logger })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic, partitionCount }])
  const traffic = new Traffic(cluster)
  t.after(() => traffic.stop())

  await until('records', () => traffic.fetched.length > 500)
  install(after.issue({ name: 'new' }))
  await logger.until('info', 'connections use the new credentials')
  await until('records over the new connections', () => traffic.fetched.length > 1000)
  // The authority of the old certificate is trusted no more: only the new one can open connections.
  await trustOnly(cluster, write('clients-after.pem', brokers.cert + after.cert))
  const tls = { ca: brokers.cert, cert: old.cert, key: old.key }
  const stranger = { bootstrapServers: [kafka.bootstrapServers], bootstrapTimeoutMs: 100, tls }
  const isStrangerIn = async (): Promise<boolean> => {
    const client = await Cluster.connect(stranger).catch(() => undefined)
    await client?.close()
    return client !== undefined
  }
  while (await isStrangerIn()) await sleep(systemClock, 100)
  await cluster.connectionTo({ to: 'any', lane: cluster.newLane('new') })

  await traffic.stop()
  assert.equal(traffic.failed, 0)
  assert.equal(traffic.fetched.length, traffic.made)
  assert.equal(new Set(traffic.fetched).size, traffic.made)
  const troubles = logger.lines.filter(({ level }) => level === 'warn' || level === 'error')
  assert.deepEqual(troubles, [])
})
