/**
 * One hand at a time on a fleet: a lock file beside what is remembered of it.
 *
 * The file names the process and the machine. A process of this machine that is
 * gone holds nothing; one of another machine cannot be looked at, so its lock
 * stands until a person removes the file. Scalers that do not share a folder do
 * not see each other: of those only one may run with `--apply`. What they can see
 * is that somebody else has changed the size, which counts as a step, with its
 * pause.
 */

import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'

import { messageOf, PipelineError } from '../../core/index.ts'

/** A lock that is held. */
export interface FleetLock {
  /** Lets go. May be called again. */
  release(): Promise<void>
}

const ATTEMPTS = 3
/** What this process holds: a lock with its number that is not here was left by one before, as in a container. */
const held = new Set<string>()

/**
 * Takes the lock.
 *
 * @param path - The lock file.
 * @param what - Who takes it, for whoever finds it taken: `comporta scale`.
 * @throws PipelineError `ERR_OPS_FLEET_LOCKED` if another holds it, `ERR_OPS_SCALE_STATE` if it cannot be written.
 */
export async function lockFleet(path: string, what: string): Promise<FleetLock> {
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), what, token: randomBytes(8).toString('hex') })
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (await tryLock(path, mine)) {
      held.add(mine)
      return { release: () => release(path, mine) }
    }
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const holder = holderIn(text)
    if (holder !== undefined && isAlive(holder, text)) {
      const message = `${holder.what} (process ${holder.pid} on ${holder.host}) works on this fleet; its lock: ${path}`
      throw new PipelineError('ERR_OPS_FLEET_LOCKED', message)
    }
    await takeAway(path, text)
  }
  throw new PipelineError('ERR_OPS_FLEET_LOCKED', `the lock ${path} is taken again and again`)
}

/** Written whole under a name of its own, then linked: nobody ever reads half a lock. */
async function tryLock(path: string, mine: string): Promise<boolean> {
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(own, mine, { mode: 0o600 })
    await link(own, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw new PipelineError('ERR_OPS_SCALE_STATE', `${path}: ${messageOf(error)}`, { cause: error })
  } finally {
    await rm(own, { force: true })
  }
}

/** Takes a lock away that nobody holds; one that somebody has taken since is put back. */
async function takeAway(path: string, stale: string): Promise<void> {
  const away = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    await rename(path, away)
    if ((await readFile(away, 'utf8')) !== stale) await link(away, path)
  } catch (error) {
    // Gone already, or taken again meanwhile: the next attempt sees.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EEXIST') return
    throw new PipelineError('ERR_OPS_SCALE_STATE', `${path}: ${messageOf(error)}`, { cause: error })
  } finally {
    await rm(away, { force: true })
  }
}

async function release(path: string, mine: string): Promise<void> {
  held.delete(mine)
  // Whoever took it over holds it rightly.
  const text = await readFile(path, 'utf8').catch(() => '')
  if (text === mine) await rm(path, { force: true })
}

interface Holder {
  readonly pid: number
  readonly host: string
  readonly what: string
}

function holderIn(text: string): Holder | undefined {
  try {
    const { pid, host, what } = JSON.parse(text) as Partial<Holder>
    return typeof pid === 'number' && typeof host === 'string' ? { pid, host, what: String(what) } : undefined
  } catch {
    // Not one of ours: nobody holds it.
    return undefined
  }
}

function isAlive({ pid, host }: Holder, text: string): boolean {
  if (host !== hostname()) return true
  if (pid === process.pid) return held.has(text)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

/** Who holds a lock, for people; `undefined` = nobody who is alive. Looks only. */
export async function lockHolder(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const holder = holderIn(text)
  return holder !== undefined && isAlive(holder, text)
    ? `${holder.what} (process ${holder.pid} on ${holder.host})`
    : undefined
}
