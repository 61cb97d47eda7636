/**
 * A Kubernetes API for tests: the mock server of fabric8's Java client in its CRUD mode, from Maven Central. It keeps
 * Deployments and pods, patches, selects and deletes them as the API does; it has no controllers, no users and no TLS,
 * and answers the scale subresource with the whole Deployment.
 */

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { runProcess, spawnBound } from './child-process.ts'

const folder = join(import.meta.dirname, 'kubernetes')
const cacheDir = join(import.meta.dirname, '../../.cache')
const resolveTimeoutMs = 200_000

/** Starts it; the end of the test ends it. @returns Its address. */
export async function startKubernetesMock(t: TestContext): Promise<string> {
  const program = join(folder, 'KubernetesMock.java')
  const child = spawnBound('java', ['-XX:TieredStopAtLevel=1', '-cp', await kubernetesClassPath(), program])
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  t.after(async () => {
    child.kill('SIGKILL')
    await closed
  })
  const started = Promise.withResolvers<string>()
  let output = ''
  const read = (text: string): void => {
    output += text
    const url = /serving (http:\/\/\S+)/.exec(output)?.[1]
    if (url !== undefined) started.resolve(url)
  }
  child.stdout?.setEncoding('utf8').on('data', read)
  child.stderr?.setEncoding('utf8').on('data', read)
  void closed.then(() => started.reject(new Error(`the mock server did not start:\n${output}`)))
  return await started.promise
}

/** The class path of the mock server, resolved through Maven at the first call. */
export async function kubernetesClassPath(): Promise<string> {
  const pom = join(folder, 'pom.xml')
  const hash = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
    .slice(0, 12)
  const cached = join(cacheDir, `kubernetes-classpath-${hash}.txt`)
  if (!existsSync(cached)) {
    await mkdir(cacheDir, { recursive: true })
    const fresh = `${cached}.${process.pid}`
    const args = ['-q', '-B', '-f', pom, 'dependency:build-classpath', `-Dmdep.outputFile=${fresh}`]
    await runProcess('mvn', args, { timeoutMs: resolveTimeoutMs })
    await rename(fresh, cached)
  }
  return await readFile(cached, 'utf8')
}
