/** Apache Kafka as a test peer: it starts, its own tools talk to it, and it ends with us. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { KAFKA_TOOLS, runKafkaTool, startKafkaJvm } from '../support/kafka-jvm.ts'

test('Apache Kafka starts on a free port, serves its own tools, and leaves nothing behind', async t => {
  const kafka = await startKafkaJvm({ overrides: { 'num.partitions': '3' } })
  t.after(() => kafka.close())

  const server = ['--bootstrap-server', kafka.bootstrapServers]
  const topic = ['--topic', 'greetings']
  await runKafkaTool(KAFKA_TOOLS['kafka-console-producer'], [...server, ...topic], {
    stdin: 'one\ntwo\nthree\n'
  })
  const consumed = await runKafkaTool(KAFKA_TOOLS['kafka-console-consumer'], [
    ...server,
    ...topic,
    '--from-beginning',
    '--max-messages',
    '3'
  ])
  const described = await runKafkaTool(KAFKA_TOOLS['kafka-topics'], [...server, ...topic, '--describe'])

  assert.deepEqual(consumed.stdout.trim().split('\n').toSorted(), ['one', 'three', 'two'])
  assert.match(described.stdout, /PartitionCount: 3/)

  await kafka.close()
  assert.equal(existsSync(kafka.dir), false)
})

test('an override that Kafka refuses fails the start with the reason from its log', async () => {
  await assert.rejects(startKafkaJvm({ overrides: { 'log.retention.ms': 'soon' } }), /log\.retention\.ms/)
})

test('the broker dies with the process that started it, even when that is killed outright', async t => {
  const support = join(import.meta.dirname, '../support/kafka-jvm.ts')
  const program = `import { startKafkaJvm } from ${JSON.stringify(support)}
    const kafka = await startKafkaJvm()
    console.log(JSON.stringify([kafka.bootstrapServers, kafka.dir]))`
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [line] = (await once(owner.stdout, 'data')) as [Buffer]
  const [bootstrapServers, dir] = JSON.parse(line.toString()) as [string, string]
  t.after(() => rm(dir, { recursive: true, force: true }))
  const port = Number(bootstrapServers.split(':')[1])

  owner.kill('SIGKILL')
  await once(owner, 'close')

  const deadline = performance.now() + 10_000
  while (await accepts(port)) assert.ok(performance.now() < deadline, `port ${port} still accepts connections`)
})

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise(resolve => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  }).then(isOpen => {
    socket.destroy()
    return isOpen === true
  })
}
