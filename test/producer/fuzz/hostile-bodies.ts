/** Bodies of requests, good, bad and hostile, and which of their events must be accepted. */

import { isUtf8 } from 'node:buffer'

import { randomInt, type SeededRandom } from '../../../src/core/index.ts'

/** Longest event of the producer under test. */
export const RECORD_BYTES_MAX = 20_000

/** Lengths of the text in `{"a":"…"}` with which that is just within the limit, or not. */
const LONG_TEXTS = [RECORD_BYTES_MAX - 9, RECORD_BYTES_MAX - 8, RECORD_BYTES_MAX - 7, 60_000] as const

/** A body gets no more lines from here on: with the longest line it is still within the limit of the source. */
const LINES_BYTES_MAX = 200_000

/** What a body's events must become. */
export interface Expected {
  /** Values that must be stored, if the body as a whole is taken. */
  readonly accepted: readonly Buffer[]
  readonly rejectedCount: number
}

/** Whether the bytes are an event: one JSON object, in UTF-8, within the limit. */
export function isEvent(bytes: Buffer): boolean {
  if (bytes.length > RECORD_BYTES_MAX || !isUtf8(bytes)) return false
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

function isBlank(line: Buffer): boolean {
  return line.every(byte => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}

/** What must become of newline-delimited JSON. */
export function expectedOfLines(body: Buffer): Expected {
  const accepted: Buffer[] = []
  let rejectedCount = 0
  let start = body.subarray(0, 3).equals(Buffer.from('\ufeff')) ? 3 : 0
  while (start < body.length) {
    const newline = body.indexOf('\n', start)
    const next = newline < 0 ? body.length : newline
    const line = body.subarray(start, body[next - 1] === 0x0d && next > start ? next - 1 : next)
    start = next + 1
    if (isBlank(line)) continue
    if (isEvent(line)) accepted.push(line)
    else rejectedCount += 1
  }
  return { accepted, rejectedCount }
}

/** Writes bodies. */
export class BodyWriter {
  readonly #random: SeededRandom
  #sequence = 0

  constructor(random: SeededRandom) {
    this.#random = random
  }

  #pick<T>(items: readonly [T, ...T[]]): T {
    return items[randomInt(this.#random, items.length)] ?? items[0]
  }

  /** A sound event, no two alike. */
  event(): Buffer {
    this.#sequence += 1
    const codigo = this.#pick<unknown>([300, 400, 499, '401', null, 'x', { a: 1 }, 4e2])
    const padding = 'é'.repeat(randomInt(this.#random, this.#random.next() < 0.05 ? 9000 : 60))
    const event = {
      n: this.#sequence,
      codigo,
      nested: { list: [1, 2.5, -3e10, true, null], text: 'a"\\\n\u0001' },
      padding
    }
    const space = this.#random.next() < 0.1 ? 1 : 0
    return Buffer.from(space === 0 ? JSON.stringify(event) : JSON.stringify(event).replaceAll(',"', ' ,\t"'))
  }

  /** Something that stands where an event should. */
  line(): Buffer {
    if (this.#random.next() < 0.7) return this.event()
    const deep = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    return this.#pick<() => Buffer>([
      () =>
        Buffer.from(
          this.#pick(['', ' ', '\t', '\r', 'null', '1', '[]', '"x"', '{', '}', '{}', '{"a":1}{"b":2}', 'NaN'])
        ),
      () => this.mutated(this.event()),
      () => this.event().subarray(0, 20),
      () => this.bytes(randomInt(this.#random, 200)).map(byte => (byte === 0x0a ? 0 : byte)) as Buffer,
      () => Buffer.from(deep(this.#pick([10, 511, 512, 513, 5000]))),
      () => Buffer.from(`{"a":"${'x'.repeat(this.#pick(LONG_TEXTS))}"}`),
      () => Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xc0, 0xed, 0xa0, 0x80]), Buffer.from('"}')]),
      () => Buffer.from('{"a":"\u0000"}'),
      () => Buffer.from('\u0000'.repeat(1 + randomInt(this.#random, 50))),
      () => Buffer.from('{"__proto__":{"codigo":400},"constructor":1,"codigo":1,"codigo":400}'),
      () => Buffer.from('\ufeff{"a":1}')
    ])()
  }

  /** Newline-delimited JSON, or nearly. */
  lines(): Buffer {
    const pieces: Buffer[] = this.#random.next() < 0.1 ? [Buffer.from('\ufeff')] : []
    let bytes = 0
    for (let left = this.#pick([0, 1, 2, 7, 30, 200]); left > 0 && bytes < LINES_BYTES_MAX; left -= 1) {
      const line = this.line()
      bytes += line.length
      pieces.push(line, Buffer.from(this.#pick(['\n', '\n', '\r\n', '\n\n'])))
    }
    if (this.#random.next() < 0.3) pieces.pop()
    return Buffer.concat(pieces)
  }

  /** A whole array; its elements are well formed, not all are objects. */
  array(): { readonly body: Buffer; readonly expected: Expected } {
    const accepted: Buffer[] = []
    const elements: Buffer[] = []
    let rejectedCount = 0
    for (let count = randomInt(this.#random, 20); count > 0; count -= 1) {
      const element =
        this.#random.next() < 0.8 ? this.event() : Buffer.from(this.#pick(['1', '"],["', '[{}]', 'null', '{"a":"]"}']))
      elements.push(element)
      if (isEvent(element)) accepted.push(element)
      else rejectedCount += 1
    }
    const parts = elements.flatMap((element, index) => [
      Buffer.from(index === 0 ? '' : this.#pick([',', ' , ', ',\n'])),
      element
    ])
    return {
      body: Buffer.concat([Buffer.from(' ['), ...parts, Buffer.from(']\r\n ')]),
      expected: { accepted, rejectedCount }
    }
  }

  /** Random bytes. */
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => randomInt(this.#random, 256)))
  }

  /** The same bytes, but for a few. */
  mutated(source: Buffer): Buffer {
    const bytes = Buffer.from(source)
    for (let edits = 1 + randomInt(this.#random, 3); edits > 0 && bytes.length > 0; edits -= 1) {
      const at = randomInt(this.#random, bytes.length)
      const byte =
        this.#random.next() < 0.5
          ? this.#pick([0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x00])
          : randomInt(this.#random, 256)
      bytes[at] = byte === 0x0a ? 0x20 : byte
    }
    return bytes
  }
}
