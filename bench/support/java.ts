/** Java programs of the benchmarks, compiled against the resolved jars of Apache Kafka. */

import { mkdir } from 'node:fs/promises'
import path from 'node:path'

import { runProcess } from '../../test/support/child-process.ts'
import { kafkaClassPath } from '../../test/support/kafka-jvm.ts'

const root = path.join(import.meta.dirname, '../..')

/** Compiles a program and answers the arguments of `java` that run it, with the JVM's own defaults but for the heap. */
export async function javaProgram(source: string, heapMb: number): Promise<string[]> {
  const mainClass = path.basename(source, '.java')
  const classes = path.join(root, '.cache/bench/java', mainClass)
  await mkdir(classes, { recursive: true })
  const classPath = await kafkaClassPath()
  await runProcess('javac', ['-proc:none', '-cp', classPath, '-d', classes, source])
  const logging = path.join(root, 'test/support/kafka-jvm/log4j2-tools.properties')
  return [`-Xmx${heapMb}m`, `-Dlog4j2.configurationFile=${logging}`, '-cp', `${classes}:${classPath}`, mainClass]
}
