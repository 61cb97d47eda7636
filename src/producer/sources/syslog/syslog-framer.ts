/**
 * Cuts a connection into syslog messages. Source: RFC 6587, RFC 5425 section 4.3.
 *
 *   octet counting   MSG-LEN SP MSG
 *   newline          MSG LF
 *
 * Each frame says by its first byte which one it is: a digit, or anything else.
 * Blank lines and NUL bytes between frames are skipped.
 *
 * Invariant: at most `messageBytesMax` bytes of a message are kept, in the pieces
 * that they came in; the rest is counted and dropped.
 */

/** A message out of a connection. */
export interface SyslogFrame {
  readonly bytes: Buffer
  /** Its whole length; more than `bytes` has if it was too long. */
  readonly wholeBytes: number
  /** Why it is no whole message. */
  readonly problem?: string
}

const LF = 0x0a
const CR = 0x0d
const NUL = 0x00
const SPACE = 0x20
const ZERO = 0x30
const NINE = 0x39
/** A longer announcement is no length any more: the connection cannot be followed. */
const DIGITS_MAX = 8

/** Cuts one connection. */
export class SyslogFramer {
  readonly #messageBytesMax: number
  readonly #emit: (frame: SyslogFrame) => void
  #mode: 'start' | 'length' | 'octets' | 'line' = 'start'
  #pieces: Buffer[] = []
  #keptBytes = 0
  #wholeBytes = 0
  #digits = ''
  #leftBytes = 0
  #isBroken = false

  constructor(messageBytesMax: number, emit: (frame: SyslogFrame) => void) {
    this.#messageBytesMax = messageBytesMax
    this.#emit = emit
  }

  /** Whether nothing more can be read of the connection, because it announced an absurd length. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Takes the next bytes. */
  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && !this.#isBroken) {
      if (this.#mode === 'start') at = this.#start(bytes, at)
      else if (this.#mode === 'length') at = this.#length(bytes, at)
      else if (this.#mode === 'octets') at = this.#octets(bytes, at)
      else at = this.#line(bytes, at)
    }
  }

  /**
   * The connection has ended. A line without its newline is a message, part of a counted one is none.
   *
   * @param isCut - The connection was ended by us, so that the rest of a line may be missing.
   */
  end(isCut: boolean): void {
    if (this.#mode === 'length') this.#keep(Buffer.from(this.#digits, 'latin1'))
    if (this.#mode !== 'start' && (this.#mode === 'octets' || isCut)) {
      this.#finish('the connection ended in the middle of the message')
    } else if (this.#mode !== 'start') {
      this.#finishLine()
    }
  }

  #start(bytes: Buffer, from: number): number {
    const byte = bytes[from] ?? NUL
    if (byte === LF || byte === CR || byte === NUL) return from + 1
    this.#digits = ''
    this.#mode = byte > ZERO && byte <= NINE ? 'length' : 'line'
    return from
  }

  #length(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? NUL
      if (byte >= ZERO && byte <= NINE) {
        this.#digits += String.fromCharCode(byte)
        if (this.#digits.length <= DIGITS_MAX) continue
        this.#keep(Buffer.from(this.#digits, 'latin1'))
        this.#finish(`it announces more than ${10 ** DIGITS_MAX} bytes`)
        this.#isBroken = true
        return bytes.length
      }
      if (byte === SPACE) {
        this.#leftBytes = Number(this.#digits)
        this.#mode = 'octets'
        return at + 1
      }
      // No length: a line that begins with digits.
      this.#keep(Buffer.from(this.#digits, 'latin1'))
      this.#mode = 'line'
      return at
    }
    return bytes.length
  }

  #octets(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#leftBytes)
    this.#keep(bytes.subarray(from, end))
    this.#leftBytes -= end - from
    if (this.#leftBytes === 0) this.#finish()
    return end
  }

  #line(bytes: Buffer, from: number): number {
    const newline = bytes.indexOf(LF, from)
    if (newline < 0) {
      this.#keep(bytes.subarray(from))
      return bytes.length
    }
    this.#keep(bytes.subarray(from, newline))
    this.#finishLine()
    return newline + 1
  }

  #keep(bytes: Buffer): void {
    this.#wholeBytes += bytes.length
    const room = this.#messageBytesMax - this.#keptBytes
    if (room <= 0 || bytes.length === 0) return
    const kept = bytes.subarray(0, room)
    // Small pieces are copied, so that a slow sender does not hold a whole read for each of its bytes.
    this.#pieces.push(kept.length < bytes.buffer.byteLength / 4 ? Buffer.from(kept) : kept)
    this.#keptBytes += kept.length
    if (this.#pieces.length >= PIECES_MAX) this.#pieces = [Buffer.concat(this.#pieces)]
  }

  /** A line may end with CR LF. */
  #finishLine(): void {
    const last = this.#pieces.at(-1)
    if (last?.at(-1) === CR && this.#keptBytes === this.#wholeBytes) {
      this.#pieces[this.#pieces.length - 1] = last.subarray(0, -1)
      this.#wholeBytes -= 1
    }
    this.#finish()
  }

  #finish(problem?: string): void {
    const [first = EMPTY] = this.#pieces
    const bytes = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces)
    const wholeBytes = this.#wholeBytes
    this.#pieces = []
    this.#keptBytes = 0
    this.#wholeBytes = 0
    this.#mode = 'start'
    this.#emit({ bytes, wholeBytes, ...(problem === undefined ? {} : { problem }) })
  }
}

/** Pieces of one message before they are joined. */
const PIECES_MAX = 1024
const EMPTY = Buffer.alloc(0)
