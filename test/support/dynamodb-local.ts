/**
 * AWS's own DynamoDB for local use, in memory, on a free port of 127.0.0.1: what dynalite has not, transactions above
 * all, as AWS means them. Maven resolves it once; the class path is cached in `.cache/` under a hash of the pom.
 */

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { runProcess, spawnBound } from './child-process.ts'
import { freePorts } from './ports.ts'

const pom = join(import.meta.dirname, 'dynamodb-local/pom.xml')
const cacheDir = join(import.meta.dirname, '../../.cache/dynamodb-local')
const startTimeoutMs = 60_000

async function resolveClassPath(): Promise<string> {
  const key = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
    .slice(0, 12)
  const cached = join(cacheDir, `classpath-${key}.txt`)
  if (existsSync(cached)) {
    const classPath = await readFile(cached, 'utf8')
    if (classPath.split(':').every(jar => existsSync(jar))) return classPath
  }
  await mkdir(cacheDir, { recursive: true })
  // Test files run side by side: each resolves into its own file, and the rename is atomic.
  const fresh = `${cached}.${process.pid}`
  const args = ['-q', '-B', '-f', pom, 'dependency:build-classpath', `-Dmdep.outputFile=${fresh}`]
  const result = await runProcess('mvn', args, { timeoutMs: 300_000, isFailureAccepted: true })
  if (result.exitCode !== 0) throw new Error(`Maven could not resolve DynamoDB Local:\n${result.stdout}`)
  // Telling versions apart is Maven's business; the file is written anew only if it says something.
  await writeFile(fresh, (await readFile(fresh, 'utf8')).trim())
  await rename(fresh, cached)
  return readFile(cached, 'utf8')
}

/** Starts it; the end of the test ends it. Answers its endpoint. */
export async function startDynamoDbLocal(t: { after(end: () => void): void }): Promise<string> {
  const classPath = await resolveClassPath()
  // Its tables are in SQLite, whose library for this system Maven has put among the jars.
  const library = classPath.split(':').find(jar => basename(jar).startsWith('libsqlite4java-linux-amd64'))
  const [port = 0] = await freePorts(1)
  const child = spawnBound('java', [
    '-Xmx256m',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    `-Dsqlite4java.library.path=${library === undefined ? '' : dirname(library)}`,
    '-cp',
    classPath,
    'com.amazonaws.services.dynamodbv2.local.main.ServerRunner',
    '-inMemory',
    '-sharedDb',
    '-disableTelemetry',
    '-port',
    String(port)
  ])
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-8_192)))
  }
  const endpoint = `http://127.0.0.1:${port}`
  const end = performance.now() + startTimeoutMs
  while (!(await isServing(endpoint))) {
    if (child.exitCode !== null) throw new Error(`DynamoDB Local ended with exit code ${child.exitCode}:\n${output}`)
    if (performance.now() > end) throw new Error(`DynamoDB Local did not start in time:\n${output}`)
    await delay(50)
  }
  return endpoint
}

/** It answers with an error as soon as it answers at all. */
async function isServing(endpoint: string): Promise<boolean> {
  try {
    await fetch(endpoint, { signal: AbortSignal.timeout(2_000) })
    return true
  } catch {
    return false
  }
}
