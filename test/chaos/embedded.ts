/** An embedded broker in a process of its own, behind a network that can be cut, with data that outlives it. */

import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { spawnBound } from '../support/child-process.ts'
import { CutNetwork } from '../support/cut-network.ts'

/** A broker that can be killed and comes back under the same address. */
export class EmbeddedCluster {
  readonly network: CutNetwork
  readonly #dir = mkdtempSync(join(tmpdir(), 'comporta-embedded-'))
  readonly #sessionTimeoutMs: number
  #child: ChildProcess | undefined

  private constructor(network: CutNetwork, sessionTimeoutMs: number) {
    this.network = network
    this.#sessionTimeoutMs = sessionTimeoutMs
  }

  /** @param sessionTimeoutMs - Of members of the consumer protocol. */
  static async start(sessionTimeoutMs: number): Promise<EmbeddedCluster> {
    const cluster = new EmbeddedCluster(await CutNetwork.listen(), sessionTimeoutMs)
    await cluster.startBroker()
    return cluster
  }

  get bootstrapServers(): string {
    return `127.0.0.1:${this.network.port}`
  }

  /** Starts the broker on its data; clients find it where it was. */
  async startBroker(): Promise<void> {
    const file = join(import.meta.dirname, 'embedded-process.ts')
    const child = spawnBound(process.execPath, [
      file,
      this.#dir,
      String(this.network.port),
      String(this.#sessionTimeoutMs)
    ])
    this.#child = child
    const { stdout, stderr } = child
    if (stdout === null || stderr === null) throw new Error('a bound child has pipes')
    const log: string[] = []
    createInterface({ input: stderr }).on('line', line => void log.push(line))
    const port = await new Promise<number>((resolve, reject) => {
      createInterface({ input: stdout }).once('line', line => resolve(Number(line)))
      child.once('close', () => reject(new Error(`the broker has ended:\n${log.join('\n')}`)))
    })
    this.network.leadTo(port)
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async close(): Promise<void> {
    await this.#end('SIGKILL')
    await this.network.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child.once('close', resolve))
    child.kill(signal)
    await ended
  }
}
