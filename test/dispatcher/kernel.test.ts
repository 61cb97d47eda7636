/**
 * The kernel in WebAssembly does what the reference in TypeScript does, whatever the bytes are.
 *
 * `FUZZ=long` (npm run test:fuzz-kernel) compares as many inputs as fit into FUZZ_SECONDS.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'

import { randomInt, type SeededRandom, SeededRandom as Random } from '../../src/core/index.ts'
import { isJsonValue, JSON_DEPTH_MAX } from '../../src/dispatcher/json-check.ts'
import { recordKernel } from '../../src/dispatcher/kernel/record-kernel.ts'
import { PartitionBuffer } from '../../src/dispatcher/partition-buffer.ts'
import { createPayloadEncoder } from '../../src/dispatcher/payload.ts'
import { RecordTable } from '../../src/dispatcher/record-table.ts'
import { type CompressionName, RecordBatchBuilder } from '../../src/protocol/index.ts'
import { COLUMNS, everything, repeat } from './kernel-world.ts'
import { seedOf } from './support.ts'

const root = join(import.meta.dirname, '../..')
const found = recordKernel()
assert.ok(found !== undefined)
const kernel = found

const ALPHABET = Buffer.from('{}[]",:\\ \n0123456789.eE+-truefalsn/u\u00e9\u{1d11e}\u0000\u001f\u007f', 'utf8')
const TEXTS = [
  '{"codigo":400,"truck_id":"T-00001","lat":-23.55012345678901234,"ok":true,"tags":["a","b"],"no":null}',
  ' {"a" : [1 , 2 , {"b":null}] }\r\n\t',
  '"0123456789abcde\\n0123456789abcdef\\u00e9x"',
  '"0123456789abcdé0123456789abcde𝄞 €"',
  '[[],{},[[{}]],"",-0,0.5e-10,1E+9,12345678901234567890123456789,false]',
  '-0.000000000000000000000000000000001e-00000000000000000001',
  '{"":{"":{"":[]}}}',
  'null',
  'tru'
].map(text => Buffer.from(text, 'utf8'))

function mutated(source: Buffer, random: SeededRandom): Buffer {
  let bytes = Buffer.from(source)
  for (let edits = randomInt(random, 4); edits > 0; edits -= 1) {
    const at = randomInt(random, bytes.length + 1)
    const byte = random.next() < 0.9 ? (ALPHABET[randomInt(random, ALPHABET.length)] ?? 0) : randomInt(random, 256)
    const kept = random.next() < 0.5 ? at : Math.min(bytes.length, at + 1)
    bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(kept)])
    if (random.next() < 0.1) bytes = bytes.subarray(0, randomInt(random, bytes.length + 1))
  }
  return bytes
}

test('the binaries in the repository are what their sources give', t => {
  const folder = mkdtempSync(join(tmpdir(), 'kernel-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const built = spawnSync(process.execPath, ['scripts/build-kernel.ts', folder], { cwd: root, encoding: 'utf8' })
  assert.equal(built.status, 0, built.stderr)
  for (const file of ['src/dispatcher/kernel/record-kernel.wasm', 'src/producer/kernel/event-kernel.wasm']) {
    const committed = readFileSync(join(root, file))
    assert.ok(readFileSync(join(folder, basename(file))).equals(committed), `${file} is old: npm run build:kernel`)
  }
})

test('mutated JSON is judged as the reference judges it, whatever lies behind the value', t => {
  const random = new Random(seedOf(t))
  let goodCount = 0
  const count = repeat(() => {
    const text = mutated(TEXTS[randomInt(random, TEXTS.length)] ?? Buffer.alloc(0), random)
    // The kernel reads ahead: bytes behind the end must not count, nor those of an earlier, longer value.
    const cut = randomInt(random, text.length + 1)
    const end = random.next() < 0.7 ? text.length : cut
    const expected = isJsonValue(text, 0, end)
    goodCount += expected ? 1 : 0
    assert.equal(kernel.isJsonValue(text, 0, end), expected, text.subarray(0, end).toString('hex'))
  })
  t.diagnostic(`${count} texts, ${goodCount} well formed`)
  assert.ok(goodCount > count / 20)
})

test('nesting, long texts and all pairs of bytes in a string are judged as by the reference', () => {
  const check = (text: Buffer | string): void => {
    const bytes = Buffer.from(text as string)
    assert.equal(kernel.isJsonValue(bytes, 0, bytes.length), isJsonValue(bytes, 0, bytes.length))
  }
  for (const depth of [JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1, 100_000]) {
    check('['.repeat(depth) + ']'.repeat(depth))
    check('{"a":'.repeat(depth) + '1' + '}'.repeat(depth))
  }
  for (let length = 0; length < 70; length += 1) {
    check(`"${'x'.repeat(length)}"`)
    check('7'.repeat(length))
    check(`${'7'.repeat(length)}.${'5'.repeat(length)}e-${'3'.repeat(length)}`)
    check(`"${'x'.repeat(length)}é"`)
  }
  for (let first = 0; first < 256; first += 1) {
    for (let second = 0; second < 256; second += 1) check(Buffer.from([0x22, first, second, 0x22]))
  }
  assert.equal(kernel.isJsonValue(Buffer.alloc(kernel.inputBytesMax + 1), 0, kernel.inputBytesMax + 1), undefined)
  assert.equal(kernel.isJsonValue(Buffer.alloc(kernel.inputBytesMax, '1'), 0, kernel.inputBytesMax), true)
})

const KEYS = [null, Buffer.from('T-00001'), Buffer.from('{"id":"é\\n"}'), Buffer.from([0xff, 0x22]), Buffer.alloc(0)]

/** One chunk of random record batches, and sometimes a few random changes in it. */
function randomChunk(random: SeededRandom): Buffer {
  const names: readonly CompressionName[] = ['none', 'none', 'none', 'gzip', 'snappy', 'lz4', 'zstd']
  const batches: Buffer[] = []
  let offset = 0n
  for (let count = 1 + randomInt(random, 4); count > 0; count -= 1) {
    const compression = names[randomInt(random, names.length)] ?? 'none'
    const builder = new RecordBatchBuilder({ compression })
    const recordCount = 1 + randomInt(random, 60)
    for (let index = 0; index < recordCount; index += 1) {
      const source = TEXTS[randomInt(random, TEXTS.length - 1)] ?? Buffer.alloc(0)
      const value = random.next() < 0.05 ? null : random.next() < 0.03 ? mutated(source, random) : source
      const key = KEYS[random.next() < 0.8 ? 1 : randomInt(random, KEYS.length)] ?? null
      const headers = random.next() < 0.9 ? [] : [{ key: 'h', value: random.next() < 0.5 ? null : Buffer.from('v') }]
      builder.tryAppend(1_700_000_000_000 + randomInt(random, 100_000), key, value, headers)
    }
    batches.push(builder.build({ baseOffset: offset }))
    offset += BigInt(recordCount)
  }
  const chunk = Buffer.concat(batches)
  // Behind the first header, so that there is something to walk.
  const changes = random.next() < 0.5 ? 0 : 1 + randomInt(random, 4)
  for (let change = 0; change < changes; change += 1) {
    chunk[61 + randomInt(random, chunk.length - 61)] = random.next() < 0.5 ? randomInt(random, 256) : 0x80
  }
  return chunk
}

test('payloads, rows, verdicts and errors are those of the reference, on sound and on broken records', t => {
  const random = new Random(seedOf(t))
  const count = repeat(() => {
    const chunk = randomChunk(random)
    const setting = {
      include: COLUMNS.filter((_, index) => random.next() < (index === 3 ? 0.3 : 0.8)),
      recordsMax: 1 + randomInt(random, 100),
      bytesMax: 300 + randomInt(random, random.next() < 0.3 ? 1_000 : 100_000),
      from: BigInt(random.next() < 0.7 ? 0 : randomInt(random, 80))
    }
    const expected = everything(chunk, setting, false)
    assert.deepEqual(everything(chunk, setting, true), expected, chunk.toString('hex'))
  })
  t.diagnostic(`${count} chunks`)
})

test('records of a megabyte and batches larger than the kernel sees at once give the same payloads', () => {
  const builder = new RecordBatchBuilder({ sizeBytesMax: 8e6 })
  for (const length of [10, 1_000_000, 20, 1_200_000, 30, 30, 500_000, 500_000, 500_000, 5]) {
    assert.ok(builder.tryAppend(1, null, Buffer.from(JSON.stringify({ text: 'é'.repeat(length / 2) }))))
  }
  const chunk = builder.build({ baseOffset: 0n })
  for (const bytesMax of [1e5, 1.1e6, 1e7]) {
    const setting = { include: COLUMNS, recordsMax: 4, bytesMax, from: 0n }
    assert.deepEqual(everything(chunk, setting, true), everything(chunk, setting, false))
  }
})

test('the kernel takes plain records in one go', () => {
  const builder = new RecordBatchBuilder({})
  for (let index = 0; index < 50; index += 1) builder.tryAppend(1, Buffer.from('k'), TEXTS[0] ?? null)
  const limits = { bytesMax: 1e6, bodyBytesMax: 1e6 }
  const encoder = createPayloadEncoder({ format: 'json', include: COLUMNS, limits, origin: { bootstrapServers: '' } })
  const table = new RecordTable()
  const buffer = new PartitionBuffer(0n)
  let singleCount = 0
  const watched = {
    append: (...args: Parameters<typeof encoder.append>) => {
      singleCount += 1
      return encoder.append(...args)
    },
    appendRun: (...args: Parameters<NonNullable<typeof encoder.appendRun>>) => encoder.appendRun?.(...args) ?? 0
  }
  buffer.push({ records: builder.build({ baseOffset: 0n }), nextOffset: 50n }, 0)
  encoder.begin('t', 0, false)
  buffer.fill({ table, encoder: watched, recordsMax: 500 })
  assert.equal(table.count, 50)
  assert.equal(singleCount, 0)
})
