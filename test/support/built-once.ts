/**
 * What tests build for themselves (an environment of Python, a native client) is built once, though several test files
 * that need it run beside each other as processes of their own.
 */

import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const pollMs = 200

/**
 * Builds into a folder, unless that was done before; waits while another process does. What one left unfinished is
 * built again.
 *
 * @param build - Makes the folder's contents; the folder may be there from an attempt that was cut short.
 */
export async function builtOnce(folder: string, build: () => Promise<void>): Promise<void> {
  const finished = join(folder, 'finished')
  const lock = `${folder}.lock`
  await mkdir(dirname(folder), { recursive: true })
  while (!existsSync(finished)) {
    if (!(await isTaken(lock))) {
      await delay(pollMs)
      continue
    }
    try {
      if (existsSync(finished)) return
      await build()
      await mkdir(finished, { recursive: true })
    } finally {
      await rm(lock, { force: true })
    }
  }
}

/** Takes the lock, if nobody has it who is alive. */
async function isTaken(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    const owner = Number(await readFile(lock, 'utf8').catch(() => ''))
    if (owner > 0 && !existsSync(`/proc/${owner}`)) await rm(lock, { force: true })
    return false
  }
}
