/**
 * Runs a command while a real Apache Kafka is up.
 *
 * `node scripts/with-kafka.ts [--heap-mb 768] -- command [argument …]`
 *
 * The command finds the broker in `KAFKA_BOOTSTRAP`; `{brokers}` in an argument
 * is replaced by the same address. The exit code is the command's.
 */

import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { startKafkaJvm } from '../test/support/kafka-jvm.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'heap-mb': { type: 'string', default: '768' } }
})
const [command, ...args] = positionals
if (command === undefined) {
  console.error('usage: node scripts/with-kafka.ts [--heap-mb 768] -- command [argument …]')
  process.exit(64)
}

const kafka = await startKafkaJvm({ heapMb: Number(values['heap-mb']) })
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
