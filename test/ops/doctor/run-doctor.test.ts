/** A user without rights gets "unknown" with the right's name, where one with them gets an answer; nothing ends. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { startBroker } from '../../../src/broker/index.ts'
import { Admin, Cluster } from '../../../src/client/index.ts'
import type { DoctorFinding } from '../../../src/ops/doctor/finding.ts'
import { runDoctor } from '../../../src/ops/doctor/run-doctor.ts'
import { createAclsApi } from '../../../src/protocol/index.ts'

const DESCRIBE = 8
const DESCRIBE_CONFIGS = 10
const TOPIC = 2
const CLUSTER = 4
const DENY = 2

async function clusterOf(t: TestContext): Promise<Cluster> {
  const broker = await startBroker({
    config: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true'
    }
  })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers], clientId: 'doctor' })
  t.after(() => cluster.close())
  await new Admin(cluster).createTopics([{ topic: 'orders', partitionCount: 1 }])
  return cluster
}

/** Takes a right from everybody. */
async function deny(cluster: Cluster, resourceType: number, operation: number): Promise<void> {
  const binding = {
    resourceType,
    resourceName: resourceType === CLUSTER ? 'kafka-cluster' : '*',
    resourcePatternType: 3,
    principal: 'User:ANONYMOUS',
    host: '*',
    operation,
    permissionType: DENY
  }
  const allow = { ...binding, operation: 2, permissionType: 3 }
  const { results } = await cluster.send(createAclsApi, { creations: [allow, binding] }, { to: 'controller' })
  for (const { errorCode } of results) assert.equal(errorCode, 0)
}

function saidOf(findings: readonly DoctorFinding[], id: string): DoctorFinding | undefined {
  return findings.find(each => each.id === id)
}

test('a right that is missing makes one check unknown, and names the right; the others stand', async t => {
  const cluster = await clusterOf(t)
  const options = { cluster, bootstrapServers: ['127.0.0.1:1'], intervalMs: 0 }
  const before = await runDoctor(options)
  for (const id of ['segment-retention', 'disk-space', 'min-insync-replicas']) {
    assert.equal(saidOf(before, id)?.severity, 'ok', id)
  }

  await deny(cluster, TOPIC, DESCRIBE_CONFIGS)
  await deny(cluster, CLUSTER, DESCRIBE)
  const after = await runDoctor(options)
  const segments = saidOf(after, 'segment-retention')
  assert.equal(segments?.severity, 'unknown')
  assert.match(segments.reason, /TOPIC_AUTHORIZATION_FAILED; it needs DESCRIBE_CONFIGS on the topics/)
  const disks = saidOf(after, 'disk-space')
  assert.equal(disks?.severity, 'unknown')
  assert.match(disks.reason, /CLUSTER_AUTHORIZATION_FAILED.*; it needs DESCRIBE on the cluster/)
  for (const id of ['replication-factor', 'offline-partitions', 'broker-version']) {
    assert.notEqual(saidOf(after, id)?.severity, 'unknown', id)
  }
})
