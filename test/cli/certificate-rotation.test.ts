/**
 * Authorities and certificates of broker and client are replaced three times while events are produced and consumed:
 * files as Kubernetes mounts them, a folder behind a symbolic link that is moved.
 */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import type { Broker } from '../../src/broker/index.ts'
import { RELOAD_PERIOD_MS } from '../../src/broker/server/tls-credentials.ts'
import { connectRole } from '../../src/cli/wiring.ts'
import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { type KafkaConfig, parsePipeline } from '../../src/config/index.ts'
import { type Clock, sleep, systemClock } from '../../src/core/index.ts'
import { type Dispatcher, startDispatcher } from '../../src/dispatcher/index.ts'
import type { Target, TargetBatch } from '../../src/targets/index.ts'
import { principalsIn } from '../broker/security/support.ts'
import { brokerFor, RecordingLogger } from '../broker/support.ts'
import { dispatcherConfig } from '../dispatcher/support.ts'
import { Authority, type CertificatePair } from '../support/certificates.ts'

const partitionCount = 4
/** More for a long run. */
const rotationCount = Number(process.env['ROTATIONS'] ?? 3)
const reloadMs = 20
const tickMs = 5
const waitMaxMs = 60_000
const renewedText = 'use the new credentials'

/** The system's clock, on which the broker looks at its certificates more often. */
const quickClock: Clock = {
  ...systemClock,
  every: (periodMs, callback) => systemClock.every(periodMs === RELOAD_PERIOD_MS ? reloadMs : periodMs, callback)
}

interface Files {
  /** Authorities that both sides trust. */
  readonly trusted: readonly Authority[]
  readonly broker: CertificatePair
  readonly client: CertificatePair
}

/** A folder behind a symbolic link. */
class Mount {
  readonly #dir: string
  #version = 0

  constructor(t: TestContext) {
    this.#dir = mkdtempSync(join(tmpdir(), 'comporta-rotation-'))
    t.after(() => rmSync(this.#dir, { recursive: true }))
  }

  path(name: string): string {
    return join(this.#dir, '..data', name)
  }

  /** Writes a whole new folder and moves the link to it. */
  install({ trusted, broker, client }: Files): void {
    this.#version += 1
    const folder = join(this.#dir, `..v${this.#version}`)
    mkdirSync(folder)
    const contents = {
      'ca.crt': trusted.map(({ cert }) => cert).join(''),
      'broker.crt': broker.cert,
      'broker.key': broker.key,
      'tls.crt': client.cert,
      'tls.key': client.key
    }
    for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, name), text)
    symlinkSync(folder, join(this.#dir, '..data_tmp'))
    renameSync(join(this.#dir, '..data_tmp'), join(this.#dir, '..data'))
  }
}

function kafkaOf(bootstrapServers: string, mount: Mount): KafkaConfig {
  const text = `name: x
kafka:
  bootstrapServers: ${bootstrapServers}
  tls: { ca: ${mount.path('ca.crt')}, cert: ${mount.path('tls.crt')}, key: ${mount.path('tls.key')} }
`
  const { kafka } = parsePipeline(text, { fileName: 'x', environment: {} })
  assert.ok(typeof kafka.tls === 'object')
  return { ...kafka, tls: { ...kafka.tls, reloadMs, expiryWarningDays: 1 } }
}

/** Waits until something is seen. */
async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + waitMaxMs
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for: ${what}`)
    await sleep(systemClock, tickMs)
  }
}

/** Takes every record, and notes its number and order. */
class NotingTarget implements Target {
  readonly name = 'noting'
  readonly bodyBytesMax = 6_291_456
  readonly timeoutMs = 10_000
  readonly numbers: number[] = []
  readonly #last = new Map<number, number>()
  outOfOrder = 0

  invoke(batch: TargetBatch): Promise<{ kind: 'ok' }> {
    // Made by the dispatcher.
    const { messages } = JSON.parse(batch.body.toString()) as { messages: { number: number }[] }
    for (const { number } of messages) {
      this.numbers.push(number)
      if (number <= (this.#last.get(batch.partition) ?? -1)) this.outOfOrder += 1
      this.#last.set(batch.partition, number)
    }
    return Promise.resolve({ kind: 'ok' })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** Appends numbered records as fast as they are taken, until it is stopped. */
class Load {
  readonly #appender: Appender
  readonly #ended: Promise<void>
  #isOn = true
  made = 0
  delivered = 0
  failed = 0

  constructor(cluster: Cluster) {
    this.#appender = new Appender({ cluster, lingerMs: 2, bufferBytes: 262_144 })
    this.#ended = this.#run()
  }

  async stop(): Promise<void> {
    this.#isOn = false
    await this.#ended
    await this.#appender.close()
  }

  async #run(): Promise<void> {
    const listener = {
      delivered: ({ recordCount }: { recordCount: number }) => void (this.delivered += recordCount),
      failed: (_: unknown, records: readonly unknown[]) => void (this.failed += records.length)
    }
    while (this.#isOn) {
      for (let index = 0; index < 30; index += 1) {
        const key = Buffer.from(`key-${this.made % 16}`)
        const record = { topic: 'events', key, value: Buffer.from(JSON.stringify({ number: this.made })) }
        if (!this.#appender.append(record, listener)) await this.#appender.room()
        else this.made += 1
      }
      await sleep(systemClock, 1)
    }
  }
}

const count = (log: RecordingLogger, text: string): number =>
  log.lines.filter(each => each.message.includes(text)).length

/** A broker with mutual TLS, and a client that produces and consumes. */
class World {
  readonly brokerLog = new RecordingLogger()
  readonly clientLog = new RecordingLogger()
  readonly target = new NotingTarget()
  readonly mount: Mount
  readonly #t: TestContext

  constructor(t: TestContext) {
    this.#t = t
    this.mount = new Mount(t)
  }

  async start(): Promise<{ broker: Broker; dispatcher: Dispatcher; load: Load }> {
    const { mount, brokerLog, clientLog, target } = this
    const tls = { cert: mount.path('broker.crt'), key: mount.path('broker.key'), ca: mount.path('ca.crt') }
    const listeners = [{ name: 'SSL', tls: { ...tls, clientAuth: 'required' as const } }]
    const options = { listeners, logger: brokerLog, clock: quickClock }
    const broker = await brokerFor(this.#t, options)
    const cluster = await connectRole(kafkaOf(broker.bootstrapServers, mount), 'test', { logger: clientLog })
    this.#t.after(() => cluster.close())
    await new Admin(cluster).createTopics([
      { topic: 'events', partitionCount },
      { topic: 'events-dead', partitionCount: 1 }
    ])
    // A machine that is busy must not cost the membership.
    const patience = { sessionTimeoutMs: 30_000, heartbeatIntervalMs: 1_000 }
    const config = { ...dispatcherConfig({ topic: 'events', groupId: 'g' }), ...patience }
    const dispatcher = await startDispatcher({ config, cluster, target, logger: clientLog })
    this.#t.after(() => dispatcher.close())
    const load = new Load(cluster)
    this.#t.after(() => load.stop())
    await until('records at the target', () => target.numbers.length > 100)
    return { broker, dispatcher, load }
  }

  /** Installs files, and waits until both sides have taken them and every connection was renewed. */
  async swap(files: Files): Promise<void> {
    const { mount, brokerLog, clientLog, target } = this
    const [brokerCount, clientCount] = [count(brokerLog, 'read again'), count(clientLog, renewedText)]
    const flowed = target.numbers.length
    mount.install(files)
    await until('the broker to read its files', () => count(brokerLog, 'read again') > brokerCount)
    await until('new connections', () => count(clientLog, renewedText) > clientCount)
    await until('records that flow on', () => target.numbers.length > flowed + 50)
  }

  /** Connections that were renewed last. */
  get renewedCount(): number {
    return Number(this.clientLog.lines.findLast(each => each.message.includes(renewedText))?.fields['connections'])
  }
}

const issue = (authority: Authority, index: number): Pick<Files, 'broker' | 'client'> => ({
  broker: authority.issue({ name: 'broker', isServer: true }),
  client: authority.issue({ name: `ingest-${index}` })
})

test('certificates and authorities are replaced three times under load, and nobody notices', async t => {
  const world = new World(t)
  const { clientLog, target } = world
  let authority = new Authority('authority 0')
  let pairs = issue(authority, 0)
  const firstClient = pairs.client
  world.mount.install({ trusted: [authority], ...pairs })
  const { broker, dispatcher, load } = await world.start()

  for (let index = 1; index <= rotationCount; index += 1) {
    const before = authority
    authority = new Authority(`authority ${index}`)
    await world.swap({ trusted: [before, authority], ...pairs })
    pairs = issue(authority, index)
    await world.swap({ trusted: [before, authority], ...pairs })
    await world.swap({ trusted: [authority], ...pairs })
    assert.ok(world.renewedCount >= 3, 'produce, fetch and group have connections of their own')
    const principals = principalsIn(world.brokerLog).filter(each => each === `User:CN=ingest-${index}`)
    // Once with the certificate, once more with the authority alone.
    assert.ok(principals.length >= 2 * world.renewedCount, `${principals.length} of ingest-${index}`)
  }
  const tls = { ca: authority.cert, ...firstClient }
  const stranger = { bootstrapServers: [broker.bootstrapServers], bootstrapTimeoutMs: 100, tls }
  await assert.rejects(Cluster.connect(stranger), { code: 'ERR_CLIENT_CONNECT_FAILED' })

  await load.stop()
  await until('all records at the target', () => target.numbers.length >= load.made)
  t.diagnostic(`${load.made} records through ${3 * rotationCount} changes`)
  const { totals } = dispatcher.status()
  await dispatcher.drain()
  assert.deepEqual([load.failed, totals.deadLettered, target.outOfOrder], [0, 0, 0])
  assert.equal(load.delivered, load.made)
  assert.equal(target.numbers.length, load.made, 'no record twice')
  assert.equal(new Set(target.numbers).size, load.made, 'no record lost')
  const troubles = clientLog.lines.filter(({ level }) => level === 'warn' || level === 'error')
  assert.deepEqual(
    troubles.map(({ message, fields }) => `${message} ${JSON.stringify(fields)}`),
    []
  )
})
