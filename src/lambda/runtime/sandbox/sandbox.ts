/** What an execution environment runs in: a thread of this process, or a process of its own. */

import type { RuntimeMessage, WorkerSetup } from '../../worker/messages.ts'

/** `thread` starts in milliseconds and shares this process; `process` cannot harm it, whatever it allocates. */
export type Isolation = 'thread' | 'process'

/** How a sandbox ended. */
export interface SandboxExit {
  /** Exit code, if it ended by itself. */
  readonly code: number | null
  /** In the words of Go's `syscall.Signal`, which Lambda prints: `killed`, `aborted`, `segmentation fault`. */
  readonly signal: string | undefined
  readonly isOutOfMemory: boolean
}

/** What a sandbox says. */
export interface SandboxListener {
  /** A message; anything at all, the function shares the line. */
  onMessage(value: unknown): void
  /** It failed in a way that ends it. `onExit` follows. */
  onError(error: unknown): void
  /** It has ended; called once, last. */
  onExit(how: SandboxExit): void
}

/** What a sandbox is made of. */
export interface SandboxOptions {
  readonly setup: WorkerSetup
  readonly listener: SandboxListener
}

/** A running sandbox. */
export interface Sandbox {
  post(message: RuntimeMessage, transfer: readonly ArrayBuffer[]): void
  /** Peak of the memory it holds, in bytes; 0 where the worker itself tells. */
  memoryPeakBytes(): number
  /** Ends it, whatever it does, and waits for its end. Idempotent. */
  terminate(): Promise<void>
}

/** Address of the worker's entry: beside this file in the sources and in the built package. */
export function workerUrl(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`../../worker/worker-main.${extension}`, import.meta.url)
}
