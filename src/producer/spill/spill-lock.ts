/**
 * The lock of a spill folder: one producer at a time.
 *
 * `lock` holds the process id and, where the system tells it, when that process
 * started, because ids are used again. The lock of a process that is gone (killed
 * with SIGKILL, a machine that was switched off) is taken over. A lock file, not
 * a lock of the system: Node offers none without native code. Two machines that
 * mount the same folder do not see each other's processes: a spill folder is
 * local to its machine.
 */

import fs from 'node:fs/promises'
import path from 'node:path'

import { PipelineError } from '../../core/index.ts'
import { systemErrorCode } from './spill-disk.ts'

const ATTEMPT_COUNT_MAX = 5

/** Locks that this process holds: its own id in a lock file is no proof of a holder elsewhere. */
const heldHere = new Set<string>()

/** A lock that is held. */
export interface SpillLock {
  /** Gives the lock back. Idempotent. */
  release(): Promise<void>
}

/**
 * Takes the lock of a folder that exists.
 *
 * @throws PipelineError `ERR_PRODUCER_SPILL_LOCKED` if another producer holds it; names its process id.
 */
export async function lockSpillFolder(folder: string): Promise<SpillLock> {
  const file = path.join(await fs.realpath(folder), 'lock')
  if (heldHere.has(file)) throw locked(folder, process.pid)
  heldHere.add(file)
  try {
    await takeLock(folder, file)
  } catch (error) {
    heldHere.delete(file)
    throw error
  }
  return {
    release: async () => {
      if (!heldHere.delete(file)) return
      await fs.rm(file, { force: true })
    }
  }
}

async function takeLock(folder: string, file: string): Promise<void> {
  const content = `${process.pid} ${(await startOf(process.pid)) ?? '-'}\n`
  for (let attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
    if (await tryCreate(file, content)) return
    const text = await fs.readFile(file, 'utf8').catch(() => undefined)
    if (text === undefined) continue
    if (await isHolderAlive(text)) throw locked(folder, holderOf(text).pid)
    await removeStale(file, text)
  }
  throw locked(folder, undefined)
}

/** Creates the lock with its content in one step: a lock seen half written would look like nobody's. */
async function tryCreate(file: string, content: string): Promise<boolean> {
  const fresh = `${file}.${process.pid}.new`
  await fs.writeFile(fresh, content)
  try {
    await fs.link(fresh, file)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false
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
    if (systemErrorCode(error) === 'ENOENT') return
    throw error
  }
  const taken = await fs.readFile(aside, 'utf8')
  // A link fails if there is a lock again, and then nothing is lost: that one counts.
  if (taken !== staleText) await fs.link(aside, file).catch(() => undefined)
  await fs.rm(aside, { force: true })
}

function holderOf(text: string): { pid: number; start: string } {
  const [pid = '', start = '-'] = text.trim().split(' ')
  return { pid: Number(pid), start }
}

async function isHolderAlive(text: string): Promise<boolean> {
  const { pid, start } = holderOf(text)
  // A lock file that was cut short by a crash names nobody.
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    if (systemErrorCode(error) !== 'EPERM') return false
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

function locked(folder: string, pid: number | undefined): PipelineError {
  const holder = pid === undefined ? 'another process' : `process ${pid}`
  const remedy = 'stop that one, or set producer.spill.dir to another folder'
  const message = `the spill folder ${folder} is in use by a producer of ${holder}: ${remedy}`
  return new PipelineError('ERR_PRODUCER_SPILL_LOCKED', message, { fields: { folder, pid } })
}
