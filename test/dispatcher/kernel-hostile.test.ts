/**
 * The kernel against bytes that somebody has written to harm: it takes nothing that the reference would not take, and
 * gives the same texts. What it took wrongly would rewrite the payload around a value.
 *
 * `FUZZ=long` (npm run test:fuzz-kernel) compares as many batches as fit into FUZZ_SECONDS.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { randomInt, SeededRandom } from '../../src/core/index.ts'
import { isJsonValue, JSON_DEPTH_MAX } from '../../src/dispatcher/json-check.ts'
import { recordKernel } from '../../src/dispatcher/kernel/record-kernel.ts'
import { BATCH_AT, BATCH_HEADER_BYTES, RecordBatchBuilder } from '../../src/protocol/index.ts'
import { COLUMNS, everything, repeat } from './kernel-world.ts'
import { seedOf } from './support.ts'

const found = recordKernel()
assert.ok(found !== undefined)
const kernel = found

/** Characters and what only looks like one, as hex: the limits of each length of UTF-8, escapes, control characters. */
const PIECES = (
  'c280 dfbf e0a080 ed9fbf ee8080 efbfbf f0908080 f48fbfbf efbbbf 7f 20 2f ' +
  '80 bf c0 c080 c1bf c2 c27f c2c0 e09fbf e0a0 e0a07f eda080 edbfbf efbf ' +
  'f08fbfbf f4908080 f5808080 f09f98 f09f987f fe ff ' +
  '5c22 5c5c 5c2f 5c62 5c75 5c7530 5c7530306539 5c7544383030 5c7530306567 5c78 5c 22 00 08 09 0a 0d 1f 5b 7b 7d 2c 3a'
)
  .split(' ')
  .map(hex => Buffer.from(hex, 'hex'))

const NUMBERS =
  '- -0 -00 -01 0 00 01 0. .0 0.0 -.1 -0.0 1e 1e+ 1e- 1e1 1E+1 1E-01 0e0 0E 1.e1 1.5e 1.5e+0 ' +
  '+1 1+ 1- 1.1.1 1e1e1 1e1.1 0x1 1_0 NaN Infinity -Infinity 1f true tru truE True false fals falsex ' +
  'null nul nullx nulll t f n 9007199254740993 1e999'

function agree(text: Buffer): void {
  const expected = isJsonValue(text, 0, text.length)
  assert.equal(kernel.isJsonValue(text, 0, text.length), expected, text.toString('hex'))
}

test('whatever stands at the edge of a vector or of the value is judged as by the reference', () => {
  // What an earlier value has left behind the end must not count.
  const behind = [Buffer.from('"}]0123456789abcdef"'.repeat(8)), Buffer.alloc(160, 0x39), Buffer.alloc(160, 0x20)]
  for (const rest of behind) {
    for (const piece of PIECES) {
      for (let before = 0; before <= 33; before += 1) {
        const start = Buffer.from(`"${'x'.repeat(before)}`)
        for (const end of ['', '"', 'x"', '"]', '":1}', `${'x'.repeat(15)}"`]) {
          for (const opening of ['', '[', '{']) {
            kernel.isJsonValue(rest, 0, rest.length)
            agree(Buffer.concat([Buffer.from(opening), start, piece, Buffer.from(end)]))
          }
        }
      }
    }
  }
})

test('numbers and words are judged as by the reference, wherever they stand', () => {
  for (const text of NUMBERS.split(' ')) {
    for (const [before, after] of [
      ['', ''],
      [' ', '\t\r\n '],
      ['[', ']'],
      ['[1,', ',1]'],
      ['{"a":', '}'],
      ['', ','],
      ['', '\u0000'],
      ['\ufeff', '']
    ] as const) {
      for (let digits = 0; digits <= 34; digits += 1) {
        agree(Buffer.from(`${before}${text}${'7'.repeat(digits)}${after}`))
        agree(Buffer.from(`${before}${'7'.repeat(digits)}${text}${after}`))
      }
    }
  }
})

test('mixed nesting at the limit, closed by the wrong bracket or not at all, is judged as by the reference', () => {
  for (let depth = JSON_DEPTH_MAX - 2; depth <= JSON_DEPTH_MAX + 2; depth += 1) {
    for (const pattern of ['[', '{', '[{', '{[', '[[{']) {
      const levels = Array.from({ length: depth }, (_, level) => pattern[level % pattern.length] ?? '[')
      const opening = levels
        .map((bracket, level) => (bracket === '{' && level < depth - 1 ? '{"a":' : bracket))
        .join('')
      const closing = levels.toReversed().map(bracket => (bracket === '{' ? '}' : ']'))
      agree(Buffer.from(opening + closing.join('')))
      agree(Buffer.from(opening + closing.slice(1).join('')))
      agree(Buffer.from(`${opening + closing.join('')}]`))
      agree(Buffer.from(opening + closing.with(depth >> 1, closing[depth >> 1] === ']' ? '}' : ']').join('')))
      agree(Buffer.from(`${opening + closing.join('')} x`))
    }
  }
})

/** A zigzag varint; `padding` more bytes than it needs say the same number. */
function varint(value: bigint, padding = 0): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  do {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  } while (rest > 0n)
  for (let count = 0; count < padding; count += 1) bytes.push(0x80)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) & 0x7f
  return Buffer.from(bytes)
}

const LIMITS = [
  0n,
  1n,
  -1n,
  63n,
  64n,
  -64n,
  -65n,
  127n,
  128n,
  2n ** 31n - 1n,
  -(2n ** 31n),
  2n ** 31n,
  2n ** 32n,
  2n ** 35n
]
const TIMES = [
  ...LIMITS,
  2n ** 48n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 55n,
  -(2n ** 55n),
  2n ** 62n,
  -(2n ** 62n),
  2n ** 63n - 1n
]
const VALUES = ['{"a":1}', '"x"', '', '1,2', '1]', '"],"offsets":["', 'null', '[}', ' {} ', `"${'y'.repeat(300)}"`]

class HostileWriter {
  readonly #random: SeededRandom

  constructor(random: SeededRandom) {
    this.#random = random
  }

  #pick<T>(items: readonly T[], fallback: T): T {
    return items[randomInt(this.#random, items.length)] ?? fallback
  }

  #isRare(): boolean {
    return this.#random.next() < 0.004
  }

  #varint(value: bigint, lies: readonly bigint[] = LIMITS): Buffer {
    if (this.#isRare()) return varint(this.#pick(lies, 0n), randomInt(this.#random, 3))
    return varint(value, this.#isRare() ? 1 + randomInt(this.#random, 9) : 0)
  }

  #sized(bytes: Buffer | null): Buffer {
    if (bytes === null) return this.#varint(this.#isRare() ? -7n : -1n)
    return Buffer.concat([this.#varint(BigInt(bytes.length)), bytes])
  }

  #record(offsetDelta: bigint): Buffer {
    const random = this.#random
    const headerCount = random.next() < 0.8 ? 0 : randomInt(random, 4)
    const headers = Array.from({ length: headerCount }, () => [
      this.#sized(this.#isRare() ? null : Buffer.from('h')),
      this.#sized(random.next() < 0.3 ? null : this.#pick(PIECES, Buffer.alloc(0)))
    ])
    const value = Buffer.from(this.#pick(VALUES, ''))
    const body = Buffer.concat([
      Buffer.from([randomInt(random, 256)]),
      this.#varint(BigInt(randomInt(random, 1000)), TIMES),
      this.#varint(offsetDelta),
      this.#sized(random.next() < 0.3 ? null : random.next() < 0.5 ? Buffer.from('k') : this.#pick(PIECES, value)),
      this.#sized(random.next() < 0.1 ? null : value),
      this.#varint(BigInt(headerCount)),
      ...headers.flat()
    ])
    if (this.#isRare()) return this.#isRare() ? Buffer.from([0]) : varint(this.#pick(LIMITS, 0n))
    return Buffer.concat([this.#varint(BigInt(body.length), [...LIMITS, BigInt(body.length - 1)]), body])
  }

  batch(baseOffset: bigint): Buffer {
    const random = this.#random
    const count = 1 + randomInt(random, 30)
    const gap = random.next() < 0.1 ? 3n : 1n
    const records = Array.from({ length: count }, (_, index) => this.#record(BigInt(index) * gap))
    const builder = new RecordBatchBuilder()
    builder.tryAppend(1, null, Buffer.from('1'))
    const head = builder.build({ baseOffset }).subarray(0, BATCH_HEADER_BYTES)
    let batch = Buffer.concat([head, ...records])
    if (this.#isRare()) batch = batch.subarray(0, batch.length - randomInt(random, 10))
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt16BE(random.next() < 0.2 ? 8 : 0, BATCH_AT.attributes)
    batch.writeInt32BE(Number(gap) * count, BATCH_AT.lastOffsetDelta)
    batch.writeBigInt64BE(this.#isRare() ? this.#pick(TIMES, 0n) : 1_700_000_000_000n, BATCH_AT.baseTimestamp)
    batch.writeBigInt64BE(this.#isRare() ? this.#pick(TIMES, 0n) : 1_700_000_000_000n, BATCH_AT.maxTimestamp)
    batch.writeInt32BE(this.#isRare() ? count + randomInt(random, 3) - 1 : count, BATCH_AT.recordCount)
    return batch
  }
}

test('records that lie about lengths, counts, offsets and times give what the reference gives', t => {
  const random = new SeededRandom(seedOf(t))
  const writer = new HostileWriter(random)
  let wholeCount = 0
  const count = repeat(() => {
    const base = random.next() < 0.9 ? 0n : 2n ** 53n - 20n
    const chunk = Buffer.concat([writer.batch(base), writer.batch(base + 100n)])
    const setting = {
      include: COLUMNS.filter((_, index) => random.next() < (index === 3 ? 0.3 : 0.8)),
      recordsMax: 1 + randomInt(random, 40),
      bytesMax: 200 + randomInt(random, 3_000),
      from: base
    }
    const expected = everything(chunk, setting, false)
    if (expected.length > 0 && expected.every(text => text.includes('"messages"'))) wholeCount += 1
    assert.deepEqual(everything(chunk, setting, true), expected, chunk.toString('hex'))
  })
  t.diagnostic(`${count} chunks, ${wholeCount} without a corrupt record`)
  assert.ok(wholeCount > 0)
})

test('payloads that fill their limit to the byte are the same', () => {
  const builder = new RecordBatchBuilder()
  for (let index = 0; index < 40; index += 1) {
    builder.tryAppend(index, index % 3 === 0 ? null : Buffer.from('"\\'), Buffer.from(String(10 ** (index % 12))))
  }
  const chunk = builder.build({ baseOffset: 95n })
  for (let bytesMax = 60; bytesMax < 700; bytesMax += 1) {
    const setting = { include: COLUMNS, recordsMax: 50, bytesMax, from: 95n }
    assert.deepEqual(everything(chunk, setting, true), everything(chunk, setting, false))
  }
})
