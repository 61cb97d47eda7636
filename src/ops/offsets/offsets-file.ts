/**
 * Offsets in files: the CSV of Kafka's tool, in both of its formats, and JSON.
 *
 *     topic,partition,offset          for one group
 *     group,topic,partition,offset    for one or many
 *
 * No header line, `\n` behind each. Kafka's tool writes through Jackson, which
 * puts text in quotes when it has more than 24 characters or one below `-`
 * (spaces, `+`, `#`, quotes), and doubles quotes in it: so do we, so that a file
 * is the same whoever wrote it. JSON keeps the metadata and the leader epoch,
 * which CSV cannot. Pure.
 */

import type { TopicPartition } from '../../client/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import type { StoredOffset } from './offset-move.ts'

/** One offset in a file. */
export interface FiledOffset extends TopicPartition {
  /** `undefined` in the format of one group. */
  readonly groupId: string | undefined
  readonly stored: StoredOffset
}

const FORMAT = 'comporta-offsets'
/** Characters from which Jackson puts text in quotes without a look into it. */
const UNQUOTED_LENGTH_MAX = 24
/** The first character that needs no quotes: the one behind the comma. */
const FIRST_SAFE_CHARACTER = 45
const INT64_MAX = 2n ** 63n - 1n
const PARTITION_MAX = 2 ** 31 - 1

/** Offsets as CSV, in the order that they come. */
export function csvOf(offsets: readonly FiledOffset[]): string {
  return offsets
    .map(({ groupId, topic, partition, stored }) => {
      const group = groupId === undefined ? '' : `${csvText(groupId)},`
      return `${group}${csvText(topic)},${partition},${stored.offset}\n`
    })
    .join('')
}

function csvText(text: string): string {
  let isPlain = text.length <= UNQUOTED_LENGTH_MAX
  for (let index = 0; isPlain && index < text.length; index += 1)
    isPlain = text.charCodeAt(index) >= FIRST_SAFE_CHARACTER
  return isPlain ? text : `"${text.replaceAll('"', '""')}"`
}

/** Offsets as JSON: `{ format, version, offsets: [{ group, topic, partition, offset, leaderEpoch, metadata }] }`. */
export function jsonOf(offsets: readonly FiledOffset[]): string {
  const list = offsets.map(({ groupId, topic, partition, stored }) => ({
    group: groupId,
    topic,
    partition,
    offset: stored.offset.toString(),
    leaderEpoch: stored.leaderEpoch,
    metadata: stored.metadata
  }))
  return `${JSON.stringify({ format: FORMAT, version: 1, offsets: list }, undefined, 1)}\n`
}

/**
 * Reads offsets: JSON if the text begins with `{`, else CSV, whose lines all have three or all have four columns.
 *
 * @param name - Name of the file, for messages.
 * @throws PipelineError `ERR_OPS_OFFSETS_FILE` with the line of what is wrong.
 */
export function readOffsets(text: string, name: string): FiledOffset[] {
  const offsets = text.trimStart().startsWith('{') ? readJson(text, name) : readCsv(text, name)
  const seen = new Set<string>()
  for (const { groupId, topic, partition } of offsets) {
    const key = JSON.stringify([groupId, topic, partition])
    if (seen.has(key)) throw invalid(name, `${topic}-${partition} is there twice`)
    seen.add(key)
  }
  return offsets
}

function readCsv(text: string, name: string): FiledOffset[] {
  const offsets: FiledOffset[] = []
  let columnCount: number | undefined
  for (const { line, fields } of rowsOf(text, name)) {
    columnCount ??= fields.length
    if (fields.length !== columnCount || (columnCount !== 3 && columnCount !== 4)) {
      const wanted = 'topic,partition,offset or group,topic,partition,offset, the same on all lines'
      throw invalid(name, `line ${line} has ${fields.length} columns, and should be ${wanted}`)
    }
    const [offset = '', partition = '', topic = '', groupId] = fields.toReversed()
    const stored = { offset: int64Of(offset, name, line), leaderEpoch: -1, metadata: '' }
    offsets.push({ groupId, topic: topicOf(topic, name, line), partition: partitionOf(partition, name, line), stored })
  }
  return offsets
}

/** Rows of CSV: fields in quotes may hold commas, line ends, and quotes in pairs. Empty lines are no rows. */
function rowsOf(text: string, name: string): { readonly line: number; readonly fields: string[] }[] {
  const rows: { line: number; fields: string[] }[] = []
  // The beginning of a field, in quotes or not, up to what ends it.
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y
  let line = 1
  let row = { line, fields: [] as string[] }
  const end = text.length
  while (field.lastIndex < end) {
    const match = field.exec(text)
    if (match === null) throw invalid(name, `line ${line} has a quote that is out of place`)
    const [whole, quoted, plain = '', separator = ''] = match
    row.fields.push(quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'))
    line += whole.split('\n').length - 1
    if (separator === ',') {
      if (field.lastIndex >= end) row.fields.push('')
      else continue
    }
    if (row.fields.length > 1 || row.fields[0] !== '') rows.push(row)
    row = { line, fields: [] }
  }
  return row.fields.length > 0 ? [...rows, row] : rows
}

function readJson(text: string, name: string): FiledOffset[] {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw invalid(name, messageOf(error))
  }
  const { format, version, offsets } = recordOf(document)
  if (format !== FORMAT || version !== 1 || !Array.isArray(offsets)) {
    throw invalid(name, `it is not what comporta offsets export --json writes ("format": "${FORMAT}", "version": 1)`)
  }
  return offsets.map((each: unknown, index) => {
    const { group, topic, partition, offset, leaderEpoch, metadata } = recordOf(each)
    const place = index + 1
    return {
      groupId: typeof group === 'string' ? group : undefined,
      topic: topicOf(String(topic), name, place),
      partition: partitionOf(String(partition), name, place),
      stored: {
        offset: int64Of(String(offset), name, place),
        leaderEpoch: typeof leaderEpoch === 'number' ? leaderEpoch : -1,
        metadata: typeof metadata === 'string' ? metadata : ''
      }
    }
  })
}

function recordOf(value: unknown): Record<string, unknown> {
  // An object of any shape; each of its values is looked at before it is used.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function topicOf(text: string, name: string, line: number): string {
  if (/^[A-Za-z0-9._-]{1,249}$/.test(text)) return text
  throw invalid(name, `line ${line} has no topic: "${text.slice(0, 80)}"`)
}

function partitionOf(text: string, name: string, line: number): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= PARTITION_MAX) return Number(text)
  throw invalid(name, `line ${line} has no partition: "${text.slice(0, 80)}"`)
}

function int64Of(text: string, name: string, line: number): bigint {
  const value = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text.replace('+', '')) : undefined
  if (value !== undefined && value <= INT64_MAX) return value
  throw invalid(name, `line ${line} has no offset: "${text.slice(0, 80)}"`)
}

function invalid(name: string, reason: string): PipelineError {
  return new PipelineError('ERR_OPS_OFFSETS_FILE', `${name}: ${reason}`)
}
