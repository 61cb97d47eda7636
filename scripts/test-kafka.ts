/**
 * Runs the conformance tests on a real Apache Kafka, started once for all of
 * them, then the tests that need a JVM for another reason.
 *
 * `node scripts/test-kafka.ts [--only conformance|jvm] [test file …]`
 */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startKafkaJvm } from '../test/support/kafka-jvm.ts'

const root = join(import.meta.dirname, '..')
const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } })

/** Runs test files, one after the other, and answers the exit code. */
function runTests(files: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const args = ['--test', '--test-concurrency=1', '--test-timeout=180000', ...files]
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', exitCode => resolve(exitCode ?? 1))
  })
}

async function runConformance(): Promise<number> {
  const kafka = await startKafkaJvm({ heapMb: 768 })
  try {
    console.log(`Apache Kafka serves ${kafka.bootstrapServers}`)
    const files = positionals.length > 0 ? positionals : ['test/conformance/**/*.test.ts']
    return await runTests(files, { KAFKA_BOOTSTRAP: kafka.bootstrapServers })
  } finally {
    await kafka.close()
  }
}

const exitCodes: number[] = []
if (values.only !== 'jvm') exitCodes.push(await runConformance())
if (values.only !== 'conformance' && positionals.length === 0) {
  exitCodes.push(await runTests(['test/jvm/**/*.test.ts'], {}))
}
process.exitCode = exitCodes.every(exitCode => exitCode === 0) ? 0 : 1
