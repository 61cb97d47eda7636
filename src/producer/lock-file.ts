/**
 * A lock file: one process at a time.
 *
 * It holds the process id, the name of the machine and, where the system tells
 * it, when that process started, because ids are used again. The lock of a process
 * that is gone (killed with SIGKILL, a machine that was switched off) is taken
 * over. A lock file, not a lock of the system: Node offers none without native
 * code. Machines and containers that mount the same folder do not see each
 * other's processes, in which every process may have the id 1: the holder touches
 * its file, and only one that was not touched for `SILENCE_MS` is taken over.
 */

import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

import { systemClock } from '../core/index.ts'

const ATTEMPT_COUNT_MAX = 5
/** How often a holder touches its file, in milliseconds. */
const TOUCH_MS = 5000
/** A holder elsewhere that has not done so for as long is gone, in milliseconds. */
const SILENCE_MS = 30_000

/** Locks that this process holds: its own id in a lock file is no proof of a holder elsewhere. */
const heldHere = new Set<string>()

/** A lock that was asked for: held from now on, or by whom it is held. */
export type FileLocking =
  | {
      readonly kind: 'held'
      /** Gives the lock back. Idempotent. */
      readonly release: () => Promise<void>
    }
  | {
      readonly kind: 'busy'
      /** By whom, in words. */
      readonly holder: string
    }

/**
 * Takes a lock file.
 *
 * @param path_ - The file; its folder must exist.
 * @throws What the file system throws if the file cannot be made.
 */
export async function lockFile(path_: string): Promise<FileLocking> {
  const file = path.join(await fs.realpath(path.dirname(path_)), path.basename(path_))
  if (heldHere.has(file)) return { kind: 'busy', holder: `process ${process.pid}, this one` }
  heldHere.add(file)
  try {
    const holder = await takeLock(file)
    if (holder !== undefined) {
      heldHere.delete(file)
      return holder
    }
  } catch (error) {
    heldHere.delete(file)
    throw error
  }
  const touching = systemClock.every(TOUCH_MS, () => void touch(file)).unref()
  const release = async (): Promise<void> => {
    touching.cancel()
    if (heldHere.delete(file)) await fs.rm(file, { force: true })
  }
  return { kind: 'held', release }
}

/** `undefined` once the lock is taken. */
async function takeLock(file: string): Promise<Extract<FileLocking, { kind: 'busy' }> | undefined> {
  const content = `${process.pid} ${(await startOf(process.pid)) ?? '-'} ${os.hostname()}\n`
  for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt += 1) {
    if (await tryCreate(file, content)) return undefined
    const text = await fs.readFile(file, 'utf8').catch(() => undefined)
    if (text === undefined) continue
    if (await isHolderAlive(text, file)) return { kind: 'busy', holder: nameOf(text) }
    await removeStale(file, text)
  }
  return { kind: 'busy', holder: 'another process' }
}

async function touch(file: string): Promise<void> {
  const seconds = systemClock.now() / 1000
  // A failure shows itself in what is written to the same disk.
  await fs.utimes(file, seconds, seconds).catch(() => undefined)
}

/** Creates the lock with its content in one step: a lock seen half written would look like nobody's. */
async function tryCreate(file: string, content: string): Promise<boolean> {
  const fresh = `${file}.${process.pid}.new`
  await fs.writeFile(fresh, content)
  try {
    await fs.link(fresh, file)
    return true
  } catch (error) {
    if (fileErrorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    await fs.rm(fresh, { force: true })
  }
}

/**
 * Removes the stale lock that was read, and only that: another process may have
 * taken it over meanwhile. A rename takes exactly one file; what turns out to be
 * a fresh lock is put back.
 */
async function removeStale(file: string, staleText: string): Promise<void> {
  const aside = `${file}.${process.pid}.old`
  try {
    await fs.rename(file, aside)
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return
    throw error
  }
  const taken = await fs.readFile(aside, 'utf8')
  // A link fails if there is a lock again, and then nothing is lost: that one counts.
  if (taken !== staleText) await fs.link(aside, file).catch(() => undefined)
  await fs.rm(aside, { force: true })
}

function holderOf(text: string): { pid: number; start: string; host: string } {
  const [pid = '', start = '-', host = os.hostname()] = text.trim().split(' ')
  return { pid: Number(pid), start, host }
}

function nameOf(text: string): string {
  const { pid, host } = holderOf(text)
  return host === os.hostname() ? `process ${pid}` : `process ${pid} of ${host}`
}

async function isHolderAlive(text: string, file: string): Promise<boolean> {
  const { pid, start, host } = holderOf(text)
  // A lock file that was cut short by a crash names nobody.
  if (!Number.isInteger(pid) || pid <= 0) return false
  if (host !== os.hostname()) {
    const touchedMs = await fs.stat(file).then(
      stat => stat.mtimeMs,
      () => 0
    )
    return systemClock.now() - touchedMs < SILENCE_MS
  }
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    if (fileErrorCode(error) !== 'EPERM') return false
  }
  const startNow = await startOf(pid)
  if (startNow === 'dead') return false
  return startNow === undefined || start === '-' || startNow === start
}

/** Start of a process in clock ticks since boot; `dead` for a zombie; `undefined` where the system does not tell. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  // The name in parentheses may hold spaces: fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? 'dead' : fields[19]
}

/** The code of an error of the file system: `ENOENT`, …; `undefined` of any other error. */
export function fileErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
