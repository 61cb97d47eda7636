/**
 * Hostile input: random bytes, and Kafka's own bytes cut and mutated. Whatever
 * comes, decoding ends with a message or with a `PipelineError`, and takes
 * memory in proportion to the input.
 *
 *     TEST_SEED=123 node --test test/protocol/fuzz.test.ts
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PipelineError, randomInt, SeededRandom, systemRandom } from '../../src/core/index.ts'
import * as protocol from '../../src/protocol/index.ts'
import { ByteReader, ByteWriter, RecordCursor, writeBatchCrc } from '../../src/protocol/index.ts'
import type { CompressionName, MessageCodec } from '../../src/protocol/index.ts'
import { bytes, fixture, number, type Row, text } from './fixtures.ts'

const SEED = Number(process.env['TEST_SEED'] ?? randomInt(systemRandom, 1_000_000_000))
console.log(`TEST_SEED=${SEED}`)
const random = new SeededRandom(SEED)

const int = (min: number, max: number): number => min + randomInt(random, max - min + 1)

function noise(size: number): Buffer {
  const buffer = Buffer.alloc(size)
  for (let at = 0; at < size; at++) buffer[at] = int(0, 255)
  return buffer
}

/** A copy that is cut, extended or changed in a few bytes; lengths and counts are the likeliest victims. */
function mutate(input: Buffer): Buffer {
  const kind = int(0, 4)
  if (kind === 0) return Buffer.from(input.subarray(0, int(0, input.length)))
  const copy = Buffer.concat([input, kind === 1 ? noise(int(1, 40)) : Buffer.alloc(0)])
  const changes = int(1, 4)
  for (let index = 0; index < changes && copy.length > 0; index++) {
    const extreme = [0, 1, 0x7f, 0x80, 0xff]
    copy[int(0, copy.length - 1)] = int(0, 1) === 0 ? (extreme[int(0, 4)] ?? 0) : int(0, 255)
  }
  return copy
}

/** Runs something that may only fail in our own way. Returns whether it failed. */
function survives(run: () => unknown, what: () => string): boolean {
  try {
    run()
    return false
  } catch (error) {
    if (!PipelineError.is(error)) assert.fail(`${what()} threw ${String(error)} (TEST_SEED=${SEED})`)
    return true
  }
}

/** A fuzz test whose input is never refused, or always, tests nothing. */
function assertMixed(refused: number, rounds: number): void {
  assert.ok(refused > rounds / 50 && refused < rounds, `${refused} of ${rounds} inputs were refused`)
}

type AnyCodec = MessageCodec<object, object>

const CODECS = new Map<string, AnyCodec>()
for (const [name, value] of Object.entries(protocol)) {
  const codec = value as unknown as AnyCodec // Exports that end so are the generated codecs.
  if (name.endsWith('Codec')) CODECS.set(codec.name, codec)
}

function captured(): { codec: AnyCodec; version: number; bytes: Buffer }[] {
  const found: { codec: AnyCodec; version: number; bytes: Buffer }[] = []
  let codec: AnyCodec | undefined
  for (const row of fixture('messages.ndjson.gz')) {
    if (row['kind'] === 'message') codec = CODECS.get(text(row, 'name'))
    else if (codec !== undefined) found.push({ codec, version: number(row, 'version'), bytes: bytes(row, 'bytes') })
  }
  return found
}

test('messages that were cut or mutated never throw anything but PipelineError', () => {
  const inputs = captured()
  let refused = 0
  for (let round = 0; round < 30_000; round++) {
    const input = inputs[int(0, inputs.length - 1)]
    if (input === undefined) continue
    const broken = mutate(input.bytes)
    const what = (): string => `${input.codec.name} v${input.version} ${broken.toString('hex')}`
    const isRefused = survives(() => {
      const message = input.codec.read(new ByteReader(broken), input.version)
      // What could be read can be written, or is refused with a code.
      input.codec.write(new ByteWriter(), message, input.version)
    }, what)
    if (isRefused) refused++
  }
  assertMixed(refused, 30_000)
})

test('random bytes never throw anything but PipelineError', () => {
  const codecs = [...CODECS.values()]
  for (let round = 0; round < 30_000; round++) {
    const codec = codecs[int(0, codecs.length - 1)]
    if (codec === undefined) continue
    const input = noise(int(0, 200))
    const version = int(codec.minVersion, codec.maxVersion)
    survives(
      () => codec.read(new ByteReader(input), version),
      () => `${codec.name} v${version} ${input.toString('hex')}`
    )
    survives(
      () => protocol.decodeRequestHeader(new ByteReader(input)),
      () => `request header ${input.toString('hex')}`
    )
  }
})

function walk(input: Buffer, isCrcChecked: boolean): void {
  const cursor = new RecordCursor({ isCrcChecked, decompressedBytesMax: 1_000_000 })
  cursor.reset(input)
  while (cursor.nextBatch()) {
    while (cursor.nextRecord()) {
      assert.ok(cursor.recordEnd <= cursor.recordBuffer.length)
      assert.ok(cursor.keyEnd <= cursor.recordEnd && cursor.valueEnd <= cursor.recordEnd)
      cursor.key()
      cursor.value()
      cursor.headers()
    }
  }
}

test('cut or mutated batches never throw anything but PipelineError, nor read outside of a record', () => {
  const batches = fixture('batches.ndjson.gz').map(row => bytes(row, 'bytes'))
  let refused = 0
  for (let round = 0; round < 15_000; round++) {
    const batch = batches[int(0, batches.length - 1)]
    if (batch === undefined || (batch.length > 20_000 && round % 20 !== 0)) continue
    const broken = mutate(batch)
    // Half of them with a right CRC: a hostile client computes it, too.
    if (round % 2 === 0 && protocol.isBatchCrcValid(batch, 0) && broken.length >= batch.length) {
      if (broken.readInt32BE(8) === batch.readInt32BE(8)) writeBatchCrc(broken, 0)
    }
    const isRefused = survives(
      () => walk(broken, round % 2 === 0),
      () => `batch ${broken.toString('hex')}`
    )
    if (isRefused) refused++
    survives(
      () => protocol.isBatchCrcValid(broken, 0),
      () => 'isBatchCrcValid'
    )
    survives(
      () => protocol.batchSizeAt(broken, 0),
      () => 'batchSizeAt'
    )
  }
  assertMixed(refused, 15_000)
})

test('compressed data that was cut or mutated never throws anything but PipelineError, nor exceeds the limit', () => {
  const rows: Row[] = fixture('batches.ndjson.gz').filter(row => text(row, 'name').endsWith('large'))
  const plain = bytes(rows[0] ?? {}, 'bytes').subarray(61, 4000)
  for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] satisfies CompressionName[]) {
    const packed = protocol.compress(name, plain)
    for (let round = 0; round < 5000; round++) {
      const broken = mutate(packed)
      survives(
        () => {
          const output = protocol.decompress(name, broken, 20_000)
          assert.ok(output.length <= 20_000)
        },
        () => `${name} ${broken.toString('hex')}`
      )
    }
  }
})

test('decoding garbage does not take memory out of proportion to it', () => {
  const inputs = captured().filter(input => input.bytes.length > 30)
  const before = process.memoryUsage()
  for (let round = 0; round < 20_000; round++) {
    const input = inputs[int(0, inputs.length - 1)]
    if (input === undefined) continue
    const broken = Buffer.from(input.bytes)
    // A length of up to two thousand million somewhere.
    broken.writeInt32BE(int(0, 0x7fff_ffff), int(0, broken.length - 4))
    survives(
      () => input.codec.read(new ByteReader(broken), input.version),
      () => input.codec.name
    )
  }
  const after = process.memoryUsage()
  assert.ok(after.rss - before.rss < 150_000_000, `${after.rss - before.rss} bytes`)
})
