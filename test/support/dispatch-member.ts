/**
 * A dispatcher as a process, for tests that kill, freeze and restart it. The one argument is its options as JSON; it
 * prints its state as a line of JSON whenever that changes, and drains on SIGTERM.
 */

import { Cluster } from '../../src/client/index.ts'
import { type DispatcherConfig, dispatcherConfig } from '../../src/config/index.ts'
import { sleep, systemClock } from '../../src/core/index.ts'
import { startDispatcher } from '../../src/dispatcher/index.ts'
import { createTarget } from '../../src/targets/index.ts'
import { createLogger } from '../../src/telemetry/index.ts'

/** What the process is told. */
export interface MemberProgramOptions {
  readonly bootstrapServers: readonly string[]
  /** How brokers, and whoever stands before them, know it. Default `member`. */
  readonly clientId?: string
  readonly config: Parameters<typeof dispatcherConfig>[0]
}

/** What it prints. */
export interface MemberLine {
  readonly state: string
  readonly partitions: number
  readonly records: number
}

const tickMs = 20

// Written by the test that started it.
const options = JSON.parse(process.argv[2] ?? '') as MemberProgramOptions
const config: DispatcherConfig = dispatcherConfig(options.config)
const logger = createLogger({ level: 'info' })
const { bootstrapServers, clientId = 'member' } = options
const cluster = await Cluster.connect({ bootstrapServers, clientId, logger })
const target = await createTarget(config.target, { cluster })
const dispatcher = await startDispatcher({ cluster, target, config, logger })
const draining = new Promise<void>(resolve => process.once('SIGTERM', () => resolve()))
let isEnded = false
void dispatcher.ended.then(error => {
  isEnded = true
  if (error !== undefined) process.stderr.write(`${error.code}: ${error.message}\n`)
})
void draining.then(() => dispatcher.drain())
let said = ''
while (!isEnded) {
  const { state, partitions, totals } = dispatcher.status()
  const line: MemberLine = { state, partitions: partitions.length, records: totals.records }
  const text = JSON.stringify(line)
  if (text !== said) process.stdout.write(`${text}\n`)
  said = text
  await sleep(systemClock, tickMs)
}
await target.close()
await cluster.close()
