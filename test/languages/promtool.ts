/**
 * Prometheus' own `promtool`: of the machine, of `PROMTOOL`, or of Debian's package `prometheus`, which is unpacked
 * into `.cache/` and not installed. Go's proxy does not do: some modules that Prometheus is built of are not there.
 */

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { builtOnce } from '../support/built-once.ts'
import { runProcess } from '../support/child-process.ts'

const folder = join(import.meta.dirname, '../../.cache/languages/promtool')
const DOWNLOAD_MS = 120_000

/** @returns Its path; `undefined` where it cannot be had, which is an error with `REQUIRE_PROMTOOL=1`. */
export async function findPromtool(): Promise<string | undefined> {
  const given = process.env['PROMTOOL'] ?? 'promtool'
  if (spawnSync(given, ['--version']).status === 0) return given
  const unpacked = join(folder, 'usr/bin/promtool')
  try {
    await builtOnce(folder, unpack)
  } catch (error) {
    if (process.env['REQUIRE_PROMTOOL'] === '1') throw error
  }
  return existsSync(unpacked) ? unpacked : undefined
}

async function unpack(): Promise<void> {
  await mkdir(folder, { recursive: true })
  await runProcess('apt-get', ['download', 'prometheus'], { cwd: folder, timeoutMs: DOWNLOAD_MS })
  const name = readdirSync(folder).find(each => each.endsWith('.deb')) ?? ''
  await runProcess('dpkg', ['-x', join(folder, name), folder], { timeoutMs: DOWNLOAD_MS })
}
