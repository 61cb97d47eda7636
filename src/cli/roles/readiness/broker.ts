/** Whether an embedded broker takes part: its listeners are open, and its disk takes writes. */

import { rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Broker } from '../../../broker/index.ts'
import { messageOf } from '../../../core/index.ts'
import type { Readiness } from '../role-endpoint.ts'

/** Room below which a broker is not ready, in bytes: a probe's own file would still fit. */
const FREE_BYTES_MIN = 16 * 1024 * 1024
/** Written and removed in the data folder; the broker leaves it alone should it stay after a crash. */
const PROBE_FILE = '.health-probe'

/** Asks the disk. */
export async function brokerReadiness({ dataDir, listeners }: Broker): Promise<Readiness> {
  if (listeners.length === 0) return { isReady: false, reason: 'no listener is open' }
  const file = join(dataDir, PROBE_FILE)
  try {
    const { bavail, bsize } = await statfs(dataDir)
    if (bavail * bsize < FREE_BYTES_MIN) return { isReady: false, reason: 'the disk of the data folder is full' }
    await writeFile(file, 'x')
    await rm(file, { force: true })
  } catch (error) {
    return { isReady: false, reason: `the data folder takes no writes: ${messageOf(error)}` }
  }
  return {
    isReady: true,
    reason: `${listeners.length === 1 ? 'the listener is' : 'listeners are'} open, disk writable`
  }
}
