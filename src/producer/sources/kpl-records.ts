/**
 * Records that Amazon's Kinesis Producer Library has put into one: unpacked.
 *
 *     aggregated => F3 89 9A C2, message, MD5 of the message (16 bytes)
 *     message    => 1: partition key *, 2: explicit hash key *, 3: record *       (Protocol Buffers)
 *     record     => 1: index of its partition key, 2: index of its hash key, 3: data, 4: tags
 *
 * Source: "KPL aggregated record format", github.com/awslabs/amazon-kinesis-producer, aggregation-format.md.
 */

import { createHash } from 'node:crypto'

/** A record as its producer wrote it. */
export interface UserRecord {
  readonly data: Buffer
  readonly partitionKey: string
}

const MAGIC = Buffer.from('f3899ac2', 'hex')
const DIGEST_BYTES = 16
const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5
const NO_BYTES: Buffer = Buffer.alloc(0)

/**
 * Unpacks an aggregated record.
 *
 * @returns `undefined` if it is none: what only begins like one, or whose digest is wrong, is a record of its own.
 */
export function unpackRecords(data: Buffer): UserRecord[] | undefined {
  if (data.length <= MAGIC.length + DIGEST_BYTES || data.compare(MAGIC, 0, 4, 0, 4) !== 0) return undefined
  const message = data.subarray(MAGIC.length, data.length - DIGEST_BYTES)
  const digest = createHash('md5').update(message).digest()
  if (!digest.equals(data.subarray(data.length - DIGEST_BYTES))) return undefined
  try {
    return readMessage(message)
  } catch {
    return undefined // its digest is right and its content is not: nothing that could be unpacked
  }
}

function readMessage(message: Buffer): UserRecord[] {
  const keys: string[] = []
  const records: { readonly data: Buffer; readonly key: number }[] = []
  for (const { field, bytes } of fieldsOf(message)) {
    if (field === 1) keys.push(bytes.toString('utf8'))
    if (field === 3) records.push(readRecord(bytes))
  }
  return records.map(({ data, key }) => {
    const partitionKey = keys[key]
    if (partitionKey === undefined) throw new RangeError('no such partition key')
    return { data, partitionKey }
  })
}

function readRecord(bytes: Buffer): { readonly data: Buffer; readonly key: number } {
  let data: Buffer = NO_BYTES
  let key = 0
  for (const { field, bytes: content, value } of fieldsOf(bytes)) {
    if (field === 1) key = value
    if (field === 3) data = content
  }
  return { data, key }
}

interface Field {
  readonly field: number
  readonly value: number
  readonly bytes: Buffer
}

/** The fields of a message, one after the other. @throws RangeError if it is cut off. */
function* fieldsOf(message: Buffer): Generator<Field, void, undefined> {
  let at = 0
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message[at]
      at += 1
      if (byte === undefined || scale > 2 ** 63) throw new RangeError('cut off')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const field = Math.floor(tag / 8)
    const type = tag % 8
    let value = 0
    let bytes: Buffer = NO_BYTES
    if (type === VARINT) {
      value = varint()
    } else if (type === LENGTH) {
      const length = varint()
      if (length > message.length - at) throw new RangeError('cut off')
      bytes = message.subarray(at, at + length)
      at += length
    } else if (type === FIXED64 || type === FIXED32) {
      at += type === FIXED64 ? 8 : 4
    } else {
      throw new RangeError('not a message')
    }
    yield { field, value, bytes }
  }
}
