/**
 * The small files of a data directory, in Apache Kafka's text formats:
 * offset checkpoints, leader epochs, partition metadata, `meta.properties`.
 *
 *   offset checkpoint  => "0" LF count LF (topic " " partition " " offset LF)*
 *   leader epochs      => "0" LF count LF (epoch " " start_offset LF)*
 *   partition.metadata => "version: 0" LF "topic_id: " uuid
 *
 * Writers replace a file in one step (temporary file, fsync, rename), so a
 * crash leaves the old or the new one, never a mixture. Readers answer
 * `undefined` for a file that is missing or damaged: all but
 * `partition.metadata` and `meta.properties` can be rebuilt.
 */

import fs from 'node:fs/promises'
import path from 'node:path'
import { systemErrorCode } from './disk.ts'
import { partitionFolderName } from './file-names.ts'

/** Offset of one partition in a checkpoint file. */
export interface OffsetCheckpointEntry {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

/** First offset that was written in a leader epoch. */
export interface LeaderEpochEntry {
  readonly epoch: number
  readonly startOffset: bigint
}

/** Replaces a file in one durable step. `mode` is that of the new file, as far as the process may give rights. */
export async function replaceFile(file: string, content: string | Buffer, mode = 0o666): Promise<void> {
  const temporary = `${file}.tmp`
  const handle = await fs.open(temporary, 'w', mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await fs.rename(temporary, file)
  await syncFolder(path.dirname(file))
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The content of a file, or `undefined` if there is none. */
export async function readIfPresent(file: string): Promise<Buffer | undefined> {
  try {
    return await fs.readFile(file)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Text of an offset checkpoint. */
export function formatOffsetCheckpoint(entries: readonly OffsetCheckpointEntry[]): string {
  const lines = entries.map(entry => `${entry.topic} ${entry.partition} ${entry.offset}\n`)
  return `0\n${entries.length}\n${lines.join('')}`
}

/** Offsets by partition folder name; `undefined` if the text is not a whole checkpoint. */
export function parseOffsetCheckpoint(text: string): Map<string, bigint> | undefined {
  const rows = parseCheckpointRows(text, /^(\S+) (\d+) (\d+)$/)
  if (rows === undefined) return undefined
  return new Map(
    rows.map(([topic = '', partition, offset = '0']) => [partitionFolderName(topic, Number(partition)), BigInt(offset)])
  )
}

/** Text of `leader-epoch-checkpoint`. */
export function formatLeaderEpochs(entries: readonly LeaderEpochEntry[]): string {
  return `0\n${entries.length}\n${entries.map(entry => `${entry.epoch} ${entry.startOffset}\n`).join('')}`
}

/** Entries of `leader-epoch-checkpoint`; `undefined` if the text is not a whole one. */
export function parseLeaderEpochs(text: string): LeaderEpochEntry[] | undefined {
  const rows = parseCheckpointRows(text, /^(\d+) (\d+)$/)
  return rows?.map(([epoch, startOffset = '0']) => ({ epoch: Number(epoch), startOffset: BigInt(startOffset) }))
}

/** Text of `partition.metadata`. */
export function formatPartitionMetadata(topicId: string): string {
  return `version: 0\ntopic_id: ${topicId}`
}

/** Topic id in `partition.metadata`, if there is one. */
export function parsePartitionMetadata(text: string): string | undefined {
  return /^topic_id: ([A-Za-z0-9_-]{22})\s*$/m.exec(text)?.[1]
}

/** Text of a Java properties file. Keys and values must need no escape. */
export function formatProperties(properties: Readonly<Record<string, string>>): string {
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`)
  return `#\n${lines.join('')}`
}

/** Values of a Java properties file without escapes or continued lines. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match?.[1] !== undefined && match[2] !== undefined) properties.set(match[1], match[2])
  }
  return properties
}

/** Columns of every row after version and count; `undefined` if any line is not as it must be. */
function parseCheckpointRows(text: string, row: RegExp): (string | undefined)[][] | undefined {
  const lines = text.split('\n')
  if (lines[0] !== '0' || !/^\d{1,9}$/.test(lines[1] ?? '')) return undefined
  const count = Number(lines[1])
  if (lines.length < count + 2) return undefined
  const rows: (string | undefined)[][] = []
  for (const line of lines.slice(2, count + 2)) {
    const match = row.exec(line)
    if (match === null) return undefined
    rows.push(match.slice(1))
  }
  return rows
}
