/** Damage to a frame: one that a client could send by a bug, by a bad network, or on purpose. */

import { type Random, randomInt } from '../../../src/core/index.ts'

const LENGTH_BYTES = 4
/** Length, API key and version: a frame that keeps them reaches the decoder that it was made for. */
const ADDRESS_BYTES = LENGTH_BYTES + 4
const LENGTHS = [-1, -2, 0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x00ff_ffff, 0x7fff_ffff, -0x8000_0000]

/** A damaged frame. */
export interface Damaged {
  readonly bytes: Buffer
  /** Whether the length in front promises more than there is: then the broker rightly waits. */
  readonly isIncomplete: boolean
  /** Whether the request is what it was. */
  readonly isIntact: boolean
}

type Mutation = (frame: Buffer, random: Random) => Buffer

/** Offset of a byte of the body, or of what follows the API key and version in the header. */
function somewhere(frame: Buffer, random: Random): number {
  return ADDRESS_BYTES + randomInt(random, Math.max(1, frame.length - ADDRESS_BYTES))
}

function withLength(frame: Buffer): Buffer {
  frame.writeInt32BE(frame.length - LENGTH_BYTES, 0)
  return frame
}

const flipBits: Mutation = (frame, random) => {
  for (let count = 1 + randomInt(random, 6); count > 0; count--) {
    const at = somewhere(frame, random)
    if (at < frame.length) frame[at] = (frame[at] ?? 0) ^ (1 << randomInt(random, 8))
  }
  return frame
}

const truncate: Mutation = (frame, random) => withLength(frame.subarray(0, somewhere(frame, random)))

const extend: Mutation = (frame, random) => {
  const tail = Buffer.alloc(1 + randomInt(random, 64), randomInt(random, 256))
  return withLength(Buffer.concat([frame, tail]))
}

const lieAboutLength: Mutation = (frame, random) => {
  const value = LENGTHS[randomInt(random, LENGTHS.length)] ?? -1
  const at = somewhere(frame, random)
  if (random.next() < 0.5 && at + 4 <= frame.length) frame.writeInt32BE(value, at)
  else if (at + 2 <= frame.length) frame.writeInt16BE((value << 16) >> 16, at)
  return frame
}

/** A varint that never ends, or one that says four thousand million. */
const deepVarint: Mutation = (frame, random) => {
  const at = Math.min(somewhere(frame, random), frame.length)
  const varint = Buffer.alloc(1 + randomInt(random, 12), 0xff)
  if (random.next() < 0.5) varint[varint.length - 1] = 0x0f
  return withLength(Buffer.concat([frame.subarray(0, at), varint, frame.subarray(at)]))
}

const noise: Mutation = (frame, random) => {
  for (let at = somewhere(frame, random); at < frame.length; at++) frame[at] = randomInt(random, 256)
  return frame
}

const repeatPart: Mutation = (frame, random) => {
  const from = somewhere(frame, random)
  const to = Math.min(frame.length, from + 1 + randomInt(random, 40))
  const part = frame.subarray(from, to)
  const copies = Array.from({ length: 1 + randomInt(random, 20) }, () => part)
  return withLength(Buffer.concat([frame.subarray(0, to), ...copies, frame.subarray(to)]))
}

const removePart: Mutation = (frame, random) => {
  const from = somewhere(frame, random)
  return withLength(Buffer.concat([frame.subarray(0, from), frame.subarray(from + 1 + randomInt(random, 8))]))
}

const lieInFront: Mutation = (frame, random) => {
  const value = LENGTHS[randomInt(random, LENGTHS.length)] ?? -1
  frame.writeInt32BE(random.next() < 0.5 ? value : frame.length - LENGTH_BYTES + randomInt(random, 64) - 32, 0)
  return frame
}

const MUTATIONS: readonly Mutation[] = [
  flipBits,
  flipBits,
  truncate,
  extend,
  lieAboutLength,
  lieAboutLength,
  deepVarint,
  noise,
  repeatPart,
  removePart,
  lieInFront
]

/** Damages a frame; every fourth stays as it is, since a valid request may do harm as well. */
export function damage(frame: Buffer, random: Random): Damaged {
  const isIntact = random.next() < 0.25
  const mutation = MUTATIONS[randomInt(random, MUTATIONS.length)]
  const bytes = isIntact || mutation === undefined ? frame : mutation(Buffer.from(frame), random)
  return {
    bytes,
    isIntact,
    isIncomplete: bytes.length < LENGTH_BYTES || bytes.readInt32BE(0) > bytes.length - LENGTH_BYTES
  }
}
