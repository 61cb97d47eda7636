/**
 * What rights and quotas cost: single decisions, and whole requests (ListOffsets,
 * one after another on one connection) to brokers without them, with 1,000 ACLs
 * and with quotas, in turns.
 *
 * `node bench/broker-authorizer.ts [--requests 5000] [--runs 5]`
 */

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Broker, startBroker } from '../src/broker/index.ts'
import { AclAuthorizer, ALLOW_ALL, type Authorizer } from '../src/broker/security/acls/index.ts'
import {
  alterClientQuotasApi,
  createAclsApi,
  createTopicsApi,
  encodeRequest,
  listOffsetsApi
} from '../src/protocol/index.ts'
import { systemClock } from '../src/core/index.ts'
import { silentLogger } from '../src/telemetry/index.ts'
import { RawConnection } from '../test/support/raw-connection.ts'

const ACL_COUNT = 1000
const DECISIONS = 1_000_000

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '5000' }, runs: { type: 'string', default: '5' } }
})

function median(figures: readonly number[]): number {
  return figures.toSorted((left, right) => left - right)[Math.floor(figures.length / 2)] ?? Number.NaN
}

/** Topic, literal or prefixed, to read and write, allowed: in Kafka's numbers. */
const acls = Array.from({ length: ACL_COUNT }, (_, index) => ({
  resourceType: 2,
  resourceName: `topic-${index}`,
  patternType: index % 10 === 0 ? 4 : 3,
  principal: 'User:ANONYMOUS',
  host: '*',
  operation: index % 2 === 0 ? 3 : 4,
  permission: 3
}))

function nanosPerDecision(authorizer: Authorizer, names: readonly string[]): number {
  const subject = { principal: 'User:ANONYMOUS', host: '127.0.0.1' }
  const started = performance.now()
  for (let each = 0; each < DECISIONS; each++) {
    authorizer.isAllowed(subject, 'read', { type: 'topic', name: names[each % names.length] ?? '' })
  }
  return ((performance.now() - started) * 1e6) / DECISIONS
}

async function decisions(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'comporta-bench-'))
  const options = { dataDir, superUsers: '', isAllowedWithoutAcl: false, clock: systemClock, logger: silentLogger }
  const authorizer = await AclAuthorizer.open(options)
  await authorizer.acls.add(acls)
  const few = Array.from({ length: 12 }, (_, index) => `topic-${index}`)
  // More than are remembered, so that each is decided anew.
  const many = Array.from({ length: 300_000 }, (_, index) => `topic-${index}`)
  for (const [what, measured, names] of [
    ['no authorizer', ALLOW_ALL, few],
    ['ACLs, remembered', authorizer, few],
    ['ACLs, decided anew', authorizer, many]
  ] as const) {
    const figures = Array.from({ length: 5 }, () => nanosPerDecision(measured, names))
    console.log(`${what}: ${median(figures).toFixed(0)} ns a decision`)
  }
  await rm(dataDir, { recursive: true })
}

/** Microseconds of CPU and of time per request. */
async function measureRequests(broker: Broker, count: number): Promise<{ cpu: number; time: number }> {
  const socket = net.connect(broker.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setNoDelay(true)
  const topics = [{ name: 'topic-1', partitions: [{ partitionIndex: 0, timestamp: -1n }] }]
  const header = { correlationId: 1, clientId: 'bench' }
  const request = Buffer.concat(encodeRequest(listOffsetsApi, 7, header, { replicaId: -1, topics }))
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  for (let each = 0; each < count; each++) {
    socket.write(request)
    await once(socket, 'data')
  }
  const time = ((performance.now() - started) * 1000) / count
  const { user, system } = process.cpuUsage(cpuBefore)
  socket.destroy()
  return { cpu: (user + system) / count, time }
}

async function brokers(): Promise<Map<string, Broker>> {
  const scope = { after: () => undefined }
  const found = new Map<string, Broker>()
  for (const what of ['nothing', '1,000 ACLs', 'quotas', 'both']) {
    const hasAcls = what === '1,000 ACLs' || what === 'both'
    const broker = await startBroker(hasAcls ? { authorizer: { isAllowedWithoutAcl: true } } : {})
    const admin = await RawConnection.open(scope, broker)
    const topic = { name: 'topic-1', numPartitions: 1, replicationFactor: 1 }
    await admin.request(createTopicsApi, { version: 7, message: { topics: [topic], timeoutMs: 5000 } })
    if (hasAcls) {
      const creations = acls.map(({ permission, patternType, ...rest }) => ({
        ...rest,
        resourcePatternType: patternType,
        permissionType: permission
      }))
      await admin.request(createAclsApi, { version: 3, message: { creations } })
    }
    if (what === 'quotas' || what === 'both') {
      const entity = [{ entityType: 'client-id', entityName: null }]
      const ops = [{ key: 'request_percentage', value: 1000, remove: false }]
      await admin.request(alterClientQuotasApi, { version: 1, message: { entries: [{ entity, ops }] } })
    }
    found.set(what, broker)
  }
  return found
}

await decisions()
const all = await brokers()
const figures = new Map([...all.keys()].map(what => [what, { cpu: [] as number[], time: [] as number[] }]))
for (const broker of all.values()) await measureRequests(broker, 2000)
for (let run = 0; run < Number(values.runs); run++) {
  for (const [what, broker] of all) {
    const { cpu, time } = await measureRequests(broker, Number(values.requests))
    figures.get(what)?.cpu.push(cpu)
    figures.get(what)?.time.push(time)
  }
}
for (const [what, { cpu, time }] of figures) {
  const spread = `${Math.min(...cpu).toFixed(1)} to ${Math.max(...cpu).toFixed(1)}`
  console.log(`${what}: ${median(cpu).toFixed(1)} µs of CPU a request (${spread}), ${median(time).toFixed(1)} µs each`)
}
for (const broker of all.values()) await broker.close()
