/**
 * The line between a worker and its runtime: the port of a thread, or the
 * channel of a child process. The same messages travel over both.
 */

import { isMainThread, parentPort, workerData } from 'node:worker_threads'

import { invariant } from '../../core/index.ts'
import type { RuntimeMessage, WorkerMessage, WorkerSetup } from './messages.ts'

/** The worker's end. */
export interface Channel {
  readonly setup: WorkerSetup
  /** Sends a message; `transfer` changes owner where both ends share memory. `onSent` hears when it has left. */
  send(message: WorkerMessage, transfer?: readonly ArrayBuffer[], onSent?: () => void): void
  onMessage(listener: (message: RuntimeMessage) => void): void
}

/** Opens the line on which this worker was started. */
export function openChannel(): Promise<Channel> {
  return isMainThread ? processChannel() : Promise.resolve(threadChannel())
}

function threadChannel(): Channel {
  const port = parentPort
  invariant(port !== null, 'a worker thread has a port')
  return {
    // Boundary: our own runtime is the only one that starts this file.
    setup: workerData as WorkerSetup,
    send: (message, transfer = [], onSent) => {
      port.postMessage(message, transfer)
      onSent?.()
    },
    onMessage: listener => void port.on('message', listener)
  }
}

async function processChannel(): Promise<Channel> {
  // Without its runtime nobody waits for an answer.
  process.once('disconnect', () => process.exit())
  // Boundary: our own runtime is the only one that starts this file.
  const setup = await new Promise<WorkerSetup>(resolve =>
    process.once('message', value => resolve(value as WorkerSetup))
  )
  return {
    setup,
    send: (message, _transfer, onSent) => void process.send?.(message, undefined, undefined, () => onSent?.()),
    onMessage: listener => void process.on('message', value => listener(value as RuntimeMessage))
  }
}
