/** The programs that drain the topic, and the scenarios that they do it in. */

import path from 'node:path'

import { writeArguments } from '../support/arguments.ts'
import { type Child, startChild, startNode } from '../support/children.ts'
import { javaProgram } from '../support/java.ts'
import type { Usage } from './usage.ts'

/** What a run is told. */
export interface RunArguments {
  readonly bootstrap: string
  readonly topic: string
  readonly url: string
  readonly group: string
  readonly records: number
  readonly concurrency: number
}

/** A program under measurement. */
export interface Program {
  /** As printed. */
  readonly name: string
  readonly isPeer: boolean
  start(run: RunArguments): Child<Usage>
}

/** Which programs. */
export interface ProgramOptions {
  /** Of `comporta`, `kafkajs`, `platformatic`, `java`. */
  readonly names: readonly string[]
  /** Of `dist`, `source`. */
  readonly forms: readonly string[]
  /** Of `partition`, `key`, `none`. */
  readonly orders: readonly string[]
  /** How the peers in JavaScript treat values. */
  readonly payload: string
  /** Folder for CPU profiles of those that run on Node. */
  readonly profileDir: string | undefined
}

/** Heap of the Java program in MiB: more than it uses. */
export const JAVA_HEAP_MB = 1024

/** Makes the programs; compiles the one in Java. */
export async function choosePrograms(options: ProgramOptions): Promise<Program[]> {
  const flags = options.profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`]
  const node = (file: string, more: Readonly<Record<string, string>>) => (run: RunArguments) =>
    startNode<Usage>(path.join(import.meta.dirname, file), writeArguments({ ...run, ...more }), flags)
  const programs: Program[] = []
  if (options.names.includes('comporta')) {
    for (const order of options.orders) {
      for (const from of options.forms) {
        const form = options.forms.length > 1 ? ` (${from})` : ''
        const name = `comporta${order === 'partition' ? '' : `, order ${order}`}${form}`
        programs.push({ name, isPeer: false, start: node('run-comporta.ts', { order, from }) })
      }
    }
  }
  for (const name of ['kafkajs', 'platformatic']) {
    if (!options.names.includes(name)) continue
    programs.push({ name, isPeer: true, start: node(`run-${name}.ts`, { payload: options.payload }) })
  }
  if (options.names.includes('java')) {
    const java = await javaProgram(path.join(import.meta.dirname, 'JavaDrain.java'), JAVA_HEAP_MB)
    const start = (run: RunArguments): Child<Usage> => startChild('java', [...java, ...writeArguments({ ...run })])
    programs.push({ name: 'java', isPeer: true, start })
  }
  return programs
}
