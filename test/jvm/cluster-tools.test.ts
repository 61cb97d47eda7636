/** Kafka's tools for the cluster itself: features, quorum, settings of brokers, users and clients, ACLs. */

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { uniqueName } from '../support/cluster.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { brokerWithTools, linesOf, inShortRun } from './tools.ts'

test('kafka-features shows what Java clients switch on: groups of KIP-848 and transactions of KIP-890', async t => {
  const { tool } = await brokerWithTools(t)

  const features = await tool('kafka-features', 'describe')

  assert.match(features, /Feature: group\.version\s.*FinalizedVersionLevel: 1/)
  assert.match(features, /Feature: transaction\.version\s.*FinalizedVersionLevel: 2/)
})

test('kafka-metadata-quorum sees a quorum of one', async t => {
  const { broker, tool } = await brokerWithTools(t)

  const status = await tool('kafka-metadata-quorum', 'describe --status')
  const replication = await tool('kafka-metadata-quorum', 'describe --replication')

  assert.match(status, new RegExp(`ClusterId:\\s+${broker.clusterId}`))
  assert.match(status, /LeaderId:\s+1\n/)
  assert.match(status, /CurrentVoters:\s+\[\{"id": 1,/)
  assert.equal(linesOf(replication).length, 2)
  assert.match(replication, /^1\s.*\sLeader\s*$/m)
})

test(
  'kafka-configs changes settings of the broker, users and quotas, and shows them',
  { skip: inShortRun },
  async t => {
    const { tool } = await brokerWithTools(t)
    const broker = '--entity-type brokers --entity-name 1'
    const user = '--entity-type users --entity-name alice'
    const client = '--entity-type clients --entity-name reporting'

    const all = await tool('kafka-configs', `--describe ${broker} --all`)
    await tool('kafka-configs', `--alter ${broker} --add-config log.retention.ms=3600000`)
    const ofBroker = await tool('kafka-configs', `--describe ${broker}`)
    await tool('kafka-configs', `--alter ${user} --add-config SCRAM-SHA-256=[password=a-secret]`)
    const ofUser = await tool('kafka-configs', `--describe ${user}`)
    await tool('kafka-configs', `--alter ${client} --add-config producer_byte_rate=1048576`)
    const ofClient = await tool('kafka-configs', `--describe ${client}`)

    assert.ok(linesOf(all).length > 50)
    assert.match(ofBroker, /log\.retention\.ms=3600000 .*DYNAMIC_BROKER_CONFIG:log\.retention\.ms=3600000/)
    assert.match(ofUser, /SCRAM credential configs for user-principal 'alice' are SCRAM-SHA-256=iterations=4096/)
    assert.doesNotMatch(ofUser, /a-secret/)
    assert.match(ofClient, /producer_byte_rate=1048576/)
  }
)

test(
  'kafka-acls lets a user whom SCRAM has authenticated write one topic and no other',
  { skip: inShortRun },
  async t => {
    const { broker, tool } = await brokerWithTools(t, {
      listeners: [{ name: 'PLAINTEXT' }, { name: 'SASL_PLAINTEXT' }],
      authorizer: { superUsers: ['User:ANONYMOUS'] }
    })
    const [, secured] = broker.listeners
    const [mine, other] = [uniqueName('mine'), uniqueName('other')]
    for (const topic of [mine, other]) await tool('kafka-topics', `--create --topic ${topic}`)
    await tool(
      'kafka-configs',
      '--alter --entity-type users --entity-name alice --add-config SCRAM-SHA-512=[password=a1]'
    )
    const login = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="a1";'
    const client = join(temporaryFolder(t), 'client.properties')
    await writeFile(
      client,
      `security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=${login}\n`
    )
    const server = { server: secured?.bootstrapServers ?? '' }
    const asAlice = (topic: string): string => `--topic ${topic} --command-config ${client}`

    const added = await tool('kafka-acls', `--add --allow-principal User:alice --operation All --topic ${mine}`)
    const listed = await tool('kafka-acls', `--list --topic ${mine}`)
    await tool('kafka-console-producer', asAlice(mine), { ...server, stdin: 'allowed\n' })
    // The console producer logs a refused record and ends well: what counts is what is in the topic.
    await tool('kafka-console-producer', asAlice(other), { ...server, stdin: 'refused\n' })
    const ends = [
      await tool('kafka-get-offsets', `--topic ${mine}`),
      await tool('kafka-get-offsets', `--topic ${other}`)
    ]
    await tool('kafka-acls', `--remove --force --allow-principal User:alice --operation All --topic ${mine}`)
    const left = await tool('kafka-acls', `--list --topic ${mine}`)

    assert.match(added, /principal=User:alice, host=\*, operation=ALL, permissionType=ALLOW/)
    assert.match(listed, /principal=User:alice, host=\*, operation=ALL, permissionType=ALLOW/)
    assert.deepEqual(ends, [`${mine}:0:1\n`, `${other}:0:0\n`])
    assert.doesNotMatch(left, /alice/)
  }
)
