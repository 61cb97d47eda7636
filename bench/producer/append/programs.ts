/** The programs of the append benchmark. */

import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import { KAFKA_TOOLS, kafkaClassPath } from '../../../test/support/kafka-jvm.ts'
import { writeArguments } from '../../support/arguments.ts'
import { cpuSecondsOf, memoryOf } from '../../support/broker-child.ts'
import { startNode } from '../../support/children.ts'
import type { AppendUsage } from './usage.ts'
import { makeValues, VALUE_BYTES } from './values.ts'

/** What a run is told. */
export interface RunArguments {
  readonly bootstrap: string
  readonly topic: string
  readonly records: number
  /** Records a second, 0 = flat out. */
  readonly rate: number
  readonly keyed: 'true' | 'false'
  readonly compression: string
  /** Settings of ours as text, empty = the default. */
  readonly linger: string
  readonly batch: string
}

/** A program under measurement. */
export interface Program {
  readonly name: string
  run(args: RunArguments): Promise<AppendUsage>
}

/** Heap of the Java program in MiB: more than it uses. */
const JAVA_HEAP_MB = 512
/** Time between two looks at the memory of a Java program. */
const LOOK_MS = 50
/** The names, in the order in which they run. */
export const PROGRAM_NAMES = ['rows', 'producer', 'java', 'java-tuned', 'kafkajs', 'platformatic'] as const

/** Makes the programs with these names. `profileDir`: folder for CPU profiles of those that run on Node. */
export function choosePrograms(names: readonly string[], profileDir?: string): Program[] {
  const flags = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]
  return PROGRAM_NAMES.filter(name => names.includes(name)).map(name => ({
    name,
    run: args => (name === 'java' || name === 'java-tuned' ? runJava(name, args) : runNode(name, args, flags))
  }))
}

async function runNode(name: string, args: RunArguments, flags: readonly string[]): Promise<AppendUsage> {
  const file = path.join(import.meta.dirname, `run-${name}.ts`)
  const child = startNode<AppendUsage>(file, writeArguments({ ...args }), flags)
  const usage = await child.line
  await child.ended
  return usage
}

/**
 * Kafka's own tool: with its defaults, and with batches, linger and buffer as ours and its values from a file, because
 * making them at random takes it longer than sending them.
 */
async function runJava(name: string, args: RunArguments): Promise<AppendUsage> {
  const isTuned = name === 'java-tuned'
  const settings = isTuned ? ['batch.size=262144', 'linger.ms=5', 'buffer.memory=67108864'] : []
  const values = isTuned ? `--payload-file=${await payloadFile()}` : `--record-size=${VALUE_BYTES}`
  const target = [`--bootstrap-server=${args.bootstrap}`, `--topic=${args.topic}`, `--throughput=${args.rate || -1}`]
  const javaArgs = [`-Xmx${JAVA_HEAP_MB}m`, '-cp', await kafkaClassPath(), KAFKA_TOOLS['kafka-producer-perf-test']]
  const toolArgs = [...target, `--num-records=${args.records}`, values, '--command-property', 'acks=all']
  const child = spawn('java', [...javaArgs, ...toolArgs, `compression.type=${args.compression}`, ...settings], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  let cpuSeconds = 0
  let peakRssMb = 0
  const pid = child.pid ?? 0
  const look = async (): Promise<void> => {
    cpuSeconds = await cpuSecondsOf(pid)
    // A process that has ended and is not yet buried has no memory.
    peakRssMb = Math.max(peakRssMb, (await memoryOf(pid)).peakMb || 0)
  }
  // The process may end between two looks.
  const timer = setInterval(() => void look().catch(() => undefined), LOOK_MS)
  await new Promise(resolve => child.once('close', resolve))
  clearInterval(timer)
  const last = output.trim().split('\n').at(-1) ?? ''
  const number = (pattern: RegExp): number => Number(pattern.exec(last)?.[1])
  const rate = number(/, ([\d.]+) records\/sec/)
  if (!(rate > 0)) throw new Error(`${name} printed ${output}`)
  const latencyMs = { p50: number(/([\d.]+) ms 50th/), p99: number(/([\d.]+) ms 99th/), max: number(/([\d.]+) ms max/) }
  return { records: args.records, seconds: args.records / rate, cpuSeconds, peakRssMb, latencyMs }
}

let file: Promise<string> | undefined

/** The same values that the other programs send, as a file. */
function payloadFile(): Promise<string> {
  file ??= (async () => {
    const name = path.join(import.meta.dirname, '../../../.cache/bench/append-values.ndjson')
    await writeFile(name, makeValues().lines)
    return name
  })()
  return file
}
