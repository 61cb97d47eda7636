/**
 * Resolves the jars of Apache Kafka through Maven, so that no test waits for it: `npm run kafka:resolve`. Lets the JVM
 * write down the classes that a broker and a tool load, which halves the CPU time of all later starts.
 */

import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  applicationClassPath,
  classArchive,
  collectTail,
  KAFKA_TOOLS,
  kafkaClassPath,
  OLD_RELEASES,
  oldToolsClassPath,
  runKafkaTool,
  serverSettings,
  spawnServer,
  untilServing
} from '../test/support/kafka-jvm.ts'
import { kubernetesClassPath } from '../test/support/kubernetes-mock.ts'
import { freePorts } from '../test/support/ports.ts'

const startTimeoutMs = 90_000

/** Runs a broker and a tool once, each of which leaves its archive behind when it ends. */
async function archiveClasses(): Promise<void> {
  const [tools, server] = [await classArchive('tools'), await classArchive('server')]
  if (existsSync(tools) && existsSync(server)) return
  const dir = await mkdtemp(join(tmpdir(), 'comporta-archive-'))
  const [port = 0, controllerPort = 0] = await freePorts(2)
  const properties = join(dir, 'server.properties')
  const settings = Object.entries(serverSettings(join(dir, 'data'), port, controllerPort))
  await writeFile(properties, settings.map(([name, value]) => `${name}=${value}\n`).join(''))
  await runKafkaTool(KAFKA_TOOLS['kafka-storage'], ['format', '--cluster-id=AAAAAAAAAAAAAAAAAAAAAA', '-c', properties])
  const broker = spawnServer(await kafkaClassPath(), properties, ['-Xmx512m', `-XX:ArchiveClassesAtExit=${server}`])
  const ended = new Promise(resolve => broker.once('close', resolve))
  try {
    await untilServing(broker, collectTail(broker), startTimeoutMs)
    const list = ['--bootstrap-server', `127.0.0.1:${port}`, '--list']
    await runKafkaTool(KAFKA_TOOLS['kafka-topics'], list, {
      environment: { JAVA_TOOL_OPTIONS: `-XX:ArchiveClassesAtExit=${tools}` }
    })
  } finally {
    broker.kill('SIGTERM')
    await ended
    await rm(dir, { recursive: true, force: true })
  }
}

console.log(`Apache Kafka: ${(await kafkaClassPath()).split(':').length} jars`)
console.log(`Kafka Streams, Connect and MirrorMaker: ${(await applicationClassPath()).split(':').length} jars`)
for (const release of OLD_RELEASES) {
  console.log(`The tools of ${release}: ${(await oldToolsClassPath(release)).split(':').length} jars`)
}
console.log(`The mock server of Kubernetes: ${(await kubernetesClassPath()).split(':').length} jars`)
await archiveClasses()
for (const name of ['tools', 'server'] as const) {
  console.log(`classes of the ${name}: ${existsSync(await classArchive(name)) ? 'kept' : 'not kept by this JVM'}`)
}
