/** Functions that mean no good, by their export. */

import { execFileSync, spawn } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { isMainThread, parentPort } from 'node:worker_threads'

function post(message: unknown): void {
  if (isMainThread) process.send?.(message)
  else parentPort?.postMessage(message)
}

/** Writes lines whose level is none, but the name of something that every object has. */
export async function oddLevels(): Promise<string> {
  for (const level of ['constructor', '__proto__', 'toString', 7, null, {}]) post({ kind: 'log', text: 'odd', level })
  for (const prefixLength of ['x', Number.NaN, -1, {}]) post({ kind: 'log', text: 'odd', prefixLength })
  post({ kind: 'result', requestId: 'x', payload: new Uint8Array(1), memoryBytes: Number.NaN })
  return 'done'
}

/** Starts a process that holds the output of this one, says which, and ends or stays. */
export async function leavesChild(event: { readonly file: string; readonly ends: boolean }): Promise<string> {
  const child = spawn('sleep', ['60'], { stdio: ['ignore', 'inherit', 'inherit'] })
  writeFileSync(event.file, String(child.pid))
  if (event.ends) process.exit(3)
  return 'left'
}

/** Says who it is, and never yields. */
export function spins(event: { readonly file: string }): never {
  writeFileSync(event.file, String(process.pid))
  for (;;) Math.random()
}

/** Waits for a file in a call that nothing interrupts. */
export function isStuck(event: { readonly begun: string; readonly gate: string }): string {
  appendFileSync(event.begun, 'x')
  execFileSync('/bin/sh', ['-c', 'while [ ! -e "$0" ]; do sleep 0.05; done', event.gate])
  return 'done'
}
