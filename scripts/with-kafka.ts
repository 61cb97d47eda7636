/**
 * Runs a command while a real Apache Kafka is up.
 *
 * `node scripts/with-kafka.ts [--heap-mb 768] [--brokers 3] -- command [argument …]`
 *
 * The command finds the broker in `KAFKA_BOOTSTRAP`; `{brokers}` in an argument
 * is replaced by the same address. Several brokers are a cluster with three
 * replicas of everything, two of which must be in sync; their addresses are
 * separated by commas. The exit code is the command's.
 */

import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { startKafkaCluster } from '../test/support/kafka-cluster.ts'
import { startKafkaJvm } from '../test/support/kafka-jvm.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'heap-mb': { type: 'string' }, brokers: { type: 'string', default: '1' } }
})
const [command, ...args] = positionals
const brokers = Number(values.brokers)
if (command === undefined || !(brokers >= 1)) {
  console.error('usage: node scripts/with-kafka.ts [--heap-mb 768] [--brokers 3] -- command [argument …]')
  process.exit(64)
}

const heapMb = Number(values['heap-mb'] ?? (brokers === 1 ? 768 : 256))
const kafka = brokers === 1 ? await startKafkaJvm({ heapMb }) : await startKafkaCluster({ brokers, heapMb })
console.error(`Apache Kafka serves ${kafka.bootstrapServers}`)
const child = spawn(
  command,
  args.map(arg => arg.replaceAll('{brokers}', kafka.bootstrapServers)),
  { stdio: 'inherit', env: { ...process.env, KAFKA_BOOTSTRAP: kafka.bootstrapServers } }
)
process.exitCode = await new Promise<number>(resolve => {
  child.once('error', error => {
    console.error(`cannot run ${command}: ${error.message}`)
    resolve(70)
  })
  child.once('close', exitCode => resolve(exitCode ?? 1))
})
await kafka.close()
