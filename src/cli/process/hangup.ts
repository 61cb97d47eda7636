/**
 * SIGHUP: read again what may change while running. One handler for all who want to know.
 *
 * A terminal that is closed sends SIGHUP, too: then there is nobody to reload
 * for, and the process stops as on SIGTERM, once, however many listen.
 */

import { closeSync, openSync } from 'node:fs'

const listeners = new Set<() => void>()

function onSignal(): void {
  if (isTerminalGone()) {
    process.kill(process.pid, 'SIGTERM')
    return
  }
  for (const listener of listeners) listener()
}

/**
 * Calls back on every SIGHUP. Without listeners the signal ends the process, as it does by default.
 *
 * @returns Ends it.
 */
export function onHangup(listener: () => void): () => void {
  // Its own function: the same listener may be given twice.
  const own = (): void => listener()
  if (listeners.size === 0) process.on('SIGHUP', onSignal)
  listeners.add(own)
  return () => {
    if (listeners.delete(own) && listeners.size === 0) process.off('SIGHUP', onSignal)
  }
}

function isTerminalGone(): boolean {
  if (!process.stdin.isTTY) return false
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return false
  } catch {
    return true
  }
}
