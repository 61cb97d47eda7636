/**
 * The checkpoint of a spill: the number of the first record that is not known to be in Kafka.
 *
 * One small file, replaced as a whole: written beside it, synced, renamed over
 * it, and the folder synced. A crash leaves the old one or the new one.
 *
 *   comporta-spill 1 <number> <CRC-32C of what stands before, as 8 hexadecimal digits>
 */

import path from 'node:path'

import { crc32c } from '../../protocol/index.ts'
import { readAll, type SpillDisk, writeAll } from './spill-disk.ts'

const FILE = 'checkpoint'
const FRESH_FILE = 'checkpoint.new'
const BYTES_MAX = 128

/** What was found: a number, nothing (a folder that is new), or bytes that are no checkpoint. */
export type FoundCheckpoint =
  { readonly kind: 'number'; readonly number: number } | { readonly kind: 'none' | 'damaged' }

/** Reads the checkpoint of a folder. */
export async function readCheckpoint(disk: SpillDisk, folder: string): Promise<FoundCheckpoint> {
  const names = await disk.list(folder)
  if (names.includes(FRESH_FILE)) await disk.remove(path.join(folder, FRESH_FILE)) // a crash came before its rename
  if (!names.includes(FILE)) return { kind: 'none' }
  const fd = await disk.open(path.join(folder, FILE), false)
  try {
    const bytes = Buffer.alloc(BYTES_MAX)
    const length = await readAll(disk, { fd, position: 0 }, bytes)
    return parse(bytes.toString('latin1', 0, length))
  } finally {
    await disk.close(fd)
  }
}

/** Replaces the checkpoint of a folder; durable when it resolves. */
export async function writeCheckpoint(disk: SpillDisk, folder: string, number: number): Promise<void> {
  const fresh = path.join(folder, FRESH_FILE)
  const fd = await disk.open(fresh, true)
  try {
    await disk.truncate(fd, 0) // what a failed attempt has left
    await writeAll(disk, { fd, position: 0 }, Buffer.from(format(number), 'latin1'))
    await disk.sync(fd)
  } finally {
    await disk.close(fd)
  }
  await disk.rename(fresh, path.join(folder, FILE))
  await disk.syncFolder(folder)
}

/** Removes the checkpoint of a folder: without it the first segment that is there is the beginning. */
export async function removeCheckpoint(disk: SpillDisk, folder: string): Promise<void> {
  await disk.remove(path.join(folder, FRESH_FILE))
  await disk.remove(path.join(folder, FILE))
  await disk.syncFolder(folder)
}

function format(number: number): string {
  const text = `comporta-spill 1 ${number} `
  return `${text}${checksumOf(text)}\n`
}

function parse(text: string): FoundCheckpoint {
  const match = /^(comporta-spill 1 (\d{1,16}) )([\da-f]{8})\n$/.exec(text)
  if (match === null || checksumOf(match[1] ?? '') !== match[3]) return { kind: 'damaged' }
  const number = Number(match[2])
  return Number.isSafeInteger(number) ? { kind: 'number', number } : { kind: 'damaged' }
}

function checksumOf(text: string): string {
  return (crc32c(Buffer.from(text, 'latin1')) >>> 0).toString(16).padStart(8, '0')
}
