/** Exactly once on three brokers of Apache Kafka that are killed, frozen and stopped: leaders and coordinators move. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as tick } from 'node:timers/promises'

import { harm } from '../conformance/exactly-once-harm.ts'
import { startKafkaCluster } from '../support/kafka-cluster.ts'
import { inShortRun } from './tools.ts'

test(
  'brokers that are killed, frozen and stopped: each record is in the output once, in order',
  { skip: inShortRun, timeout: 240_000 },
  async t => {
    const cluster = await startKafkaCluster()
    t.after(() => cluster.close())
    // Where the conformance tests find their cluster.
    process.env['KAFKA_BOOTSTRAP'] = cluster.bootstrapServers
    t.after(() => delete process.env['KAFKA_BOOTSTRAP'])
    await harm(t, {
      rounds: 6,
      countPerKey: 600,
      isStatic: true,
      options: { groupProtocol: 'classic', staticStop: 'leave' },
      hurt: async ({ members, start, round, random }) => {
        await Promise.all(members.map(member => member.untilAtWork()))
        const node = cluster.nodes[round % cluster.nodes.length]
        assert.ok(node)
        await tick(Math.floor(random.next() * 1000))
        if (round % 3 === 0) {
          await node.kill()
          await node.start()
        } else if (round % 3 === 1) {
          node.freeze()
          await tick(6000)
          node.thaw()
        } else {
          // A member goes in the middle of it.
          const stopped = node.stop()
          await members[0]?.end('SIGKILL')
          members[0] = start(0)
          await stopped
          await node.start()
        }
        await tick(3000)
      }
    })
  }
)
