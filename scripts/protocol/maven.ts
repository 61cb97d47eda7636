/** Fetches Kafka's jars through Maven (offline if it has them), reads files in them, runs Java on them. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const HERE = import.meta.dirname

/** A folder with the jars, removed by `close`. */
export interface Jars {
  readonly folder: string
  close(): void
}

/** Copies the jars of pom.xml and what they need into a temporary folder. */
export function fetchJars(): Jars {
  const folder = mkdtempSync(join(tmpdir(), 'comporta-protocol-'))
  const goal = ['-q', '-B', '-f', join(HERE, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`]
  try {
    execFileSync('mvn', ['-o', ...goal], { stdio: 'ignore' })
  } catch {
    // Not all in the local repository yet: once more with the network.
    execFileSync('mvn', goal, { stdio: 'inherit' })
  }
  return { folder, close: () => rmSync(folder, { recursive: true, force: true }) }
}

/** The message definitions of all jars: file name to text. */
export function readDefinitions(jars: Jars): Map<string, string> {
  const definitions = new Map<string, string>()
  for (const jar of readdirSync(jars.folder).filter(name => /^kafka-.*\.jar$/.test(name))) {
    const out = join(jars.folder, `${jar}.d`)
    execFileSync('unzip', ['-qo', join(jars.folder, jar), 'common/message/*.json', '-d', out])
    const folder = join(out, 'common', 'message')
    for (const name of readdirSync(folder)) definitions.set(name, readFileSync(join(folder, name), 'utf8'))
  }
  return definitions
}

/** What the Java program beside this file prints. */
export function runJava(jars: Jars, source: string): string {
  const args = ['-cp', join(jars.folder, '*'), join(HERE, source)]
  return execFileSync('java', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 })
}
