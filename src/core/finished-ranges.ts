/**
 * What is finished beyond a committed offset, as the text that Kafka keeps with
 * that offset.
 *
 * Kafka stores one offset per partition, and a text of at most 4096 characters
 * (`offset.metadata.max.bytes`) with it. Where records overtake each other the
 * text tells which of the later ones are done, so that a restart does not do
 * them again.
 *
 * ```
 * text   => "comporta:1:" base ":" base64url(body)
 * base   => the committed offset, decimal
 * body   => kind: 1 byte, then
 *   0 runs   => (open: varint, finished: varint)*    lengths in offsets, counted from base
 *   1 bitmap => bit i of byte i >> 3 = offset base + i is finished
 * ```
 * Lengths are in offsets and not in records: compaction may take records away
 * between a commit and the restart. Offsets without a record inside of a
 * finished run count as finished.
 *
 * A text that does not fit its offset (somebody has moved the offset and kept
 * the text), or that is not ours, says nothing: then nothing is skipped, which
 * costs duplicates and loses nothing.
 */

/** Longest text that Kafka keeps with an offset by default, in characters. Source: `offset.metadata.max.bytes`. */
export const METADATA_LENGTH_MAX = 4096

const PREFIX = 'comporta:1:'
/** Room for the prefix, an offset of 19 digits and the colon behind it. */
const HEAD_LENGTH_MAX = PREFIX.length + 20
/** Longest body: base64 makes four characters of three bytes. */
export const BODY_BYTES_MAX: number = Math.floor(((METADATA_LENGTH_MAX - HEAD_LENGTH_MAX) * 3) / 4)

const RUNS = 0
const BITMAP = 1

/** Ranges of offsets as pairs of numbers, first and behind the last, ascending and apart, counted from some offset. */
export type OffsetRanges = readonly number[]

/**
 * Writes ranges as text.
 *
 * @param base - Offset that is committed with the text.
 * @param ranges - Counted from `base`.
 * @returns Empty if there are no ranges; `undefined` if they do not fit.
 */
export function encodeFinished(base: bigint, ranges: OffsetRanges): string | undefined {
  if (ranges.length === 0) return ''
  const byteCount = bodyBytes(ranges)
  if (byteCount > BODY_BYTES_MAX) return undefined
  const body = byteCount === runsBytes(ranges) ? writeRuns(ranges, byteCount) : writeBitmap(ranges, byteCount)
  return `${PREFIX}${base}:${body.toString('base64url')}`
}

/**
 * Reads ranges from a text.
 *
 * @param base - Offset that the text was committed with.
 * @returns Counted from `base`; empty if the text is not ours or not about this offset.
 */
export function decodeFinished(base: bigint, text: string): number[] {
  const head = `${PREFIX}${base}:`
  if (!text.startsWith(head) || text.length > METADATA_LENGTH_MAX) return []
  const body = Buffer.from(text.slice(head.length), 'base64url')
  if (body[0] === RUNS) return readRuns(body)
  return body[0] === BITMAP ? readBitmap(body) : []
}

/** Bytes of a number as a varint, seven bits each. */
export function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1
  return size
}

/** Bytes of the shorter body for ranges. */
export function bodyBytes(ranges: OffsetRanges): number {
  return Math.min(runsBytes(ranges), 1 + Math.ceil((ranges.at(-1) ?? 0) / 8))
}

function runsBytes(ranges: OffsetRanges): number {
  let size = 1
  let at = 0
  for (const offset of ranges) {
    size += varintSize(offset - at)
    at = offset
  }
  return size
}

function writeRuns(ranges: OffsetRanges, byteCount: number): Buffer {
  const body = Buffer.alloc(byteCount)
  body[0] = RUNS
  let index = 1
  let at = 0
  for (const offset of ranges) {
    let rest = offset - at
    for (; rest >= 128; rest = Math.floor(rest / 128)) body[index++] = (rest % 128) | 0x80
    body[index++] = rest
    at = offset
  }
  return body
}

function writeBitmap(ranges: OffsetRanges, byteCount: number): Buffer {
  const body = Buffer.alloc(byteCount)
  body[0] = BITMAP
  for (let index = 0; index + 1 < ranges.length; index += 2) {
    const end = ranges[index + 1] ?? 0
    for (let offset = ranges[index] ?? 0; offset < end; offset += 1) {
      const at = 1 + (offset >> 3)
      body[at] = (body[at] ?? 0) | (1 << (offset & 7))
    }
  }
  return body
}

/** Nothing is known if the body is not exactly what `writeRuns` makes: half a truth would skip the wrong records. */
function readRuns(body: Buffer): number[] {
  const ranges: number[] = []
  let at = 0
  for (let index = 1; index < body.length;) {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = body[index++]
      if (byte === undefined) return []
      value += (byte & 0x7f) * scale
      if (byte < 128) break
      scale *= 128
    }
    at += value
    if (!Number.isSafeInteger(at) || (value === 0 && ranges.length > 0)) return []
    ranges.push(at)
  }
  return ranges.length % 2 === 0 ? ranges : []
}

function readBitmap(body: Buffer): number[] {
  const ranges: number[] = []
  const bitCount = (body.length - 1) * 8
  let isInRange = false
  for (let bit = 0; bit < bitCount; bit += 1) {
    const isSet = ((body[1 + (bit >> 3)] ?? 0) & (1 << (bit & 7))) !== 0
    if (isSet === isInRange) continue
    ranges.push(bit)
    isInRange = isSet
  }
  if (isInRange) ranges.push(bitCount)
  return ranges
}
