/** Random UUIDs in Kafka's form: 16 bytes, version 4, base64url without padding. */

import { type Random, randomInt } from '../../core/index.ts'

const UUID_BYTES = 16

/** A new id. It never begins with `-`, so that it can stand on a command line, as in Kafka's `Uuid.randomUuid`. */
export function randomUuid(random: Random): string {
  for (;;) {
    const bytes = Buffer.alloc(UUID_BYTES)
    for (let index = 0; index < UUID_BYTES; index++) bytes[index] = randomInt(random, 256)
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    const text = bytes.toString('base64url')
    if (!text.startsWith('-')) return text
  }
}

/** 32 random hexadecimal digits, for names of folders. */
export function randomHex(random: Random): string {
  return Buffer.from(randomUuid(random), 'base64url').toString('hex')
}
