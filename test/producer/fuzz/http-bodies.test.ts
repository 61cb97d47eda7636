/**
 * Random and hostile requests against the HTTP source of a whole producer: it never ends, no event is lost or counted
 * twice, and what is in Kafka is what was accepted.
 *
 * `FUZZ=long` (npm run test:fuzz) sends as many as fit into FUZZ_SECONDS.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { randomInt, SeededRandom } from '../../../src/core/index.ts'
import { HttpSource } from '../../../src/producer/index.ts'
import { stage } from '../kafka.ts'
import { BodyWriter, type Expected, expectedOfLines, RECORD_BYTES_MAX } from './hostile-bodies.ts'
import { type RawAnswer, RawSender } from './raw-http.ts'

const BODY_BYTES_MAX = 300_000
const SENDERS = 6

/** One request, and what must come of it. */
interface Attack {
  readonly name: string
  readonly head: readonly string[]
  readonly body: Buffer
  /** How the body goes over the wire. Default: as it is. */
  readonly wire?: Buffer
  /** Events of the body; `undefined` = nobody can say, but what was accepted is part of the body. */
  readonly expected?: Expected
  /** The only status there may be. */
  readonly status?: number
  /** The connection is cut after the body: there is no answer, and nothing may be stored. */
  readonly isCut?: boolean
  /** The connection cannot be used any more. */
  readonly isLast?: boolean
}

const NDJSON = 'content-type: application/x-ndjson'
const JSON_TYPE = 'content-type: application/json'
const GZIP = 'content-encoding: gzip'

class Attacker {
  readonly #random: SeededRandom
  readonly #writer: BodyWriter

  constructor(random: SeededRandom) {
    this.#random = random
    this.#writer = new BodyWriter(random)
  }

  next(): Attack {
    const kinds = [
      () => this.#lines(),
      () => this.#lines(),
      () => this.#lines(),
      () => this.#gzip(),
      () => this.#array(),
      () => this.#mutatedArray(),
      () => this.#chunked(),
      () => this.#brokenChunks(),
      () => this.#cutGzip(),
      () => this.#bomb(),
      () => this.#shortLength(),
      () => this.#longLength(),
      () => this.#tooLarge(),
      () => this.#noise()
    ]
    return (kinds[randomInt(this.#random, kinds.length)] ?? (() => this.#lines()))()
  }

  #sized(name: string, attack: Omit<Attack, 'name' | 'head'> & { readonly headers: readonly string[] }): Attack {
    const { headers, ...rest } = attack
    return { name, head: [...headers, `content-length: ${attack.body.length}`], ...rest }
  }

  #lines(): Attack {
    const body = this.#writer.lines()
    return this.#sized('lines', { headers: [NDJSON], body, expected: expectedOfLines(body) })
  }

  #gzip(): Attack {
    const plain = this.#writer.lines()
    const cut = randomInt(this.#random, plain.length + 1)
    const members = this.#random.next() < 0.3 ? [plain.subarray(0, cut), plain.subarray(cut)] : [plain]
    const body = Buffer.concat(members.map(member => gzipSync(member)))
    return this.#sized('gzip', { headers: [NDJSON, GZIP], body, expected: expectedOfLines(plain) })
  }

  #array(): Attack {
    const { body, expected } = this.#writer.array()
    return this.#sized('array', { headers: [JSON_TYPE], body, expected })
  }

  #mutatedArray(): Attack {
    return this.#sized('mutated array', { headers: [JSON_TYPE], body: this.#writer.mutated(this.#writer.array().body) })
  }

  #chunked(): Attack {
    const body = this.#writer.lines()
    const pieces: Buffer[] = []
    for (let at = 0; at < body.length;) {
      const size = 1 + randomInt(this.#random, this.#random.next() < 0.2 ? 10 : 5000)
      const piece = body.subarray(at, at + size)
      pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
      at += size
    }
    const wire = Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')])
    return {
      name: 'chunked',
      head: [NDJSON, 'transfer-encoding: chunked'],
      body,
      wire,
      expected: expectedOfLines(body)
    }
  }

  /** The parser gives up within the body: none of it may be stored. */
  #brokenChunks(): Attack {
    const event = this.#writer.event()
    const wire = Buffer.concat([Buffer.from(`${event.length.toString(16)}\r\n`), event, Buffer.from('\r\nzz\r\n')])
    const head = [NDJSON, 'transfer-encoding: chunked']
    return {
      name: 'broken chunks',
      head,
      body: event,
      wire,
      expected: { accepted: [], rejectedCount: 0 },
      isLast: true
    }
  }

  #cutGzip(): Attack {
    const whole = gzipSync(Buffer.concat([this.#writer.event(), Buffer.from('\n'), this.#writer.event()]))
    const body =
      this.#random.next() < 0.5 ? whole.subarray(0, randomInt(this.#random, whole.length - 1)) : this.#writer.bytes(60)
    return this.#sized('cut gzip', {
      headers: [NDJSON, GZIP],
      body,
      status: 400,
      expected: { accepted: [], rejectedCount: 0 }
    })
  }

  #bomb(): Attack {
    const filling = this.#random.next() < 0.5 ? ' ' : '{}\n'
    const body = gzipSync(Buffer.alloc(3_000_000, filling))
    return this.#sized('bomb', {
      headers: [NDJSON, GZIP],
      body,
      status: 413,
      expected: { accepted: [], rejectedCount: 0 }
    })
  }

  /** Its first bytes are a body, the rest is no request. */
  #shortLength(): Attack {
    const wire = Buffer.concat([this.#writer.lines(), Buffer.from('{"a":1}\n'.repeat(3))])
    const body = wire.subarray(0, wire.length - 1 - randomInt(this.#random, 20))
    const head = [NDJSON, `content-length: ${body.length}`]
    return { name: 'short length', head, body, wire, expected: expectedOfLines(body), isLast: true }
  }

  #longLength(): Attack {
    const body = this.#writer.lines()
    const head = [NDJSON, `content-length: ${body.length + 1 + randomInt(this.#random, 1000)}`]
    return { name: 'long length', head, body, isCut: true, expected: { accepted: [], rejectedCount: 0 } }
  }

  #tooLarge(): Attack {
    const body = Buffer.alloc(BODY_BYTES_MAX + 1 + randomInt(this.#random, 50_000), '{"a":1}\n')
    return this.#sized('too large', {
      headers: [NDJSON],
      body,
      status: 413,
      expected: { accepted: [], rejectedCount: 0 }
    })
  }

  #noise(): Attack {
    const body = this.#writer.bytes(randomInt(this.#random, 3000))
    return this.#sized('noise', { headers: [NDJSON], body, expected: expectedOfLines(body) })
  }
}

/** What must be in Kafka. */
class Ledger {
  /** Values as latin1 text, and how often. */
  readonly stored = new Map<string, number>()
  /** Bodies of which nobody can say what is an event. */
  readonly unsure: string[] = []
  unsureCount = 0
  acceptedCount = 0
  rejectedCount = 0

  settle({ name, body, expected, status }: Attack, answer: RawAnswer | undefined): void {
    const what = `${name}: ${JSON.stringify(answer)}, body ${body.toString('latin1').slice(0, 300)}`
    assert.notEqual(answer, undefined, what)
    if (status !== undefined) assert.equal(answer?.status, status, what)
    assert.ok([202, 400, 413].includes(answer?.status ?? 0), what)
    const { accepted = 0, rejectedCount = 0, failedCount } = answer?.body ?? {}
    assert.equal(failedCount, undefined, what)
    this.acceptedCount += accepted
    this.rejectedCount += rejectedCount
    if (expected === undefined) {
      this.unsure.push(body.toString('latin1'))
      this.unsureCount += accepted
      return
    }
    assert.equal(accepted, expected.accepted.length, what)
    assert.equal(rejectedCount, expected.rejectedCount, what)
    for (const value of expected.accepted) {
      const text = value.toString('latin1')
      this.stored.set(text, (this.stored.get(text) ?? 0) + 1)
    }
  }

  check(values: readonly Buffer[]): void {
    assert.equal(values.length, this.acceptedCount)
    let strayCount = 0
    for (const value of values) {
      const text = value.toString('latin1')
      const left = this.stored.get(text) ?? 0
      if (left > 0) {
        this.stored.set(text, left - 1)
        continue
      }
      strayCount += 1
      assert.ok(
        this.unsure.some(body => body.includes(text)),
        `nobody sent ${text.slice(0, 300)}`
      )
    }
    assert.equal(strayCount, this.unsureCount)
    assert.equal(
      [...this.stored.values()].reduce((sum, left) => sum + left, 0),
      0
    )
  }
}

/** Cuts bytes where the network might. */
function pieces(bytes: Buffer, random: SeededRandom): Buffer[] {
  if (random.next() < 0.5) return [bytes]
  const cut = randomInt(random, bytes.length + 1)
  return [bytes.subarray(0, cut), bytes.subarray(cut)]
}

async function send(port: number, sender: RawSender | undefined, attack: Attack & { readonly random: SeededRandom }) {
  const open = sender?.isOpen === true ? sender : await RawSender.open(port)
  const head = Buffer.from(['POST /events HTTP/1.1', 'host: x', ...attack.head, '', ''].join('\r\n'))
  await open.send(pieces(Buffer.concat([head, attack.wire ?? attack.body]), attack.random))
  if (attack.isCut === true) {
    await open.cut()
    return { sender: undefined, answer: undefined }
  }
  const answer = await open.answer()
  if (attack.isLast === true) await open.cut()
  return { sender: attack.isLast === true ? undefined : open, answer }
}

test('whatever is sent, what is in Kafka is what was accepted', async t => {
  const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`TEST_SEED=${seed}`)
  const isLong = process.env['FUZZ'] === 'long'
  const endsAt = performance.now() + (isLong ? Number(process.env['FUZZ_SECONDS'] ?? 60) * 1000 : 1000)
  const { produce, read, topics } = await stage(t)
  const producer = await produce({ recordBytesMax: RECORD_BYTES_MAX, key: { strategy: 'none' } })
  const source = new HttpSource({
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: BODY_BYTES_MAX,
    pendingBytesMax: 4_000_000
  })
  const ended = producer.run(source)
  const { port } = await source.listening

  const ledger = new Ledger()
  const names = new Map<string, number>()
  const attack = async (number: number): Promise<void> => {
    const random = new SeededRandom(seed + number)
    const attacker = new Attacker(random)
    let sender: RawSender | undefined
    do {
      const next = attacker.next()
      names.set(next.name, (names.get(next.name) ?? 0) + 1)
      const sent = await send(port, sender, { ...next, random })
      sender = sent.sender
      if (next.isCut !== true && next.name !== 'broken chunks') ledger.settle(next, sent.answer)
    } while (performance.now() < endsAt)
    await sender?.cut()
  }
  await Promise.all(Array.from({ length: SENDERS }, (_, number) => attack(number)))
  t.diagnostic([...names].map(([name, count]) => `${name} ${count}`).join(', '))

  const { error } = await producer.drain()
  assert.equal(error, undefined)
  assert.equal((await ended).error, undefined)
  assert.equal(source.pendingBytes, 0)
  const { totals, openBytes, openChunkCount } = producer.status()
  assert.deepEqual([totals.deliveredCount, totals.refusedCount], [ledger.acceptedCount, ledger.rejectedCount])
  assert.deepEqual([openBytes, openChunkCount, totals.failedCount], [0, 0, 0])
  ledger.check([...(await read(topics.hot)), ...(await read(topics.cold))].map(({ value }) => value))
})
