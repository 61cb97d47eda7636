/**
 * Reads one HTTP/1.1 reply out of the bytes of a connection. Pure: no socket, no clock.
 *
 * ```
 * reply  = status-line *( name ":" value CRLF ) CRLF [ body ]
 * status = "HTTP/1." ( "0" / "1" ) SP 3DIGIT [ SP reason ] CRLF
 * body   = by Transfer-Encoding: chunked, by Content-Length, or up to the end of the connection
 * ```
 * Source: RFC 9112. A batch counts as delivered because of what is read here, so nothing is guessed: bare line feeds,
 * folded lines, space in front of a colon, two lengths, a length beside a transfer coding, a coding that was not asked
 * for, and bytes behind the end are errors, and an error is an outage. Interim replies (1xx) are passed over; there is
 * no reason for 101, so it is an error too.
 *
 * Limits: the head has at most 32 KiB, interim replies included; the body as many bytes as the caller gives.
 */

/** A whole reply. */
export interface HttpReply {
  readonly statusCode: number
  /** The body; `undefined` if it is longer than the limit. */
  readonly body: Buffer | undefined
  /** Value of `Retry-After`. */
  readonly retryAfter: string | undefined
  /** Whether the connection may carry another request. */
  readonly isKept: boolean
  /** Time that the other side keeps an idle connection open, in milliseconds, as far as it says. */
  readonly keepAliveMs: number | undefined
}

/** Why bytes are no reply. */
export class ReplyError extends Error {
  /** Tells it apart in outcomes. */
  readonly code = 'ERR_HTTP_REPLY_INVALID'
}

const HEAD_BYTES_MAX = 32_768
/** Longest line of a chunk's size, extensions included. */
const SIZE_LINE_BYTES_MAX = 4_096
const NOTHING = Buffer.alloc(0)

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const FIELD = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/
const CHUNK_SIZE = /^([\dA-Fa-f]{1,8})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/

type State = 'head' | 'length' | 'size' | 'chunk' | 'chunkEnd' | 'trailer' | 'close' | 'done'

/** Headers that matter here. */
interface Fields {
  length?: number
  isChunked?: boolean
  connection: string
  retryAfter?: string
  keepAlive?: string
}

/** Without the white space around it. Not by an expression: one that looks for the end of spaces may look for long. */
function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text.charCodeAt(start))) start += 1
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** Parser of one reply. */
export class ReplyParser {
  readonly #bodyBytesMax: number
  #state: State = 'head'
  /** Bytes of a line, or of a head, that has not ended yet. */
  #pending: Buffer = NOTHING
  #headBytes = 0
  #statusCode = 0
  #isHttp10 = false
  #fields: Fields = { connection: '' }
  #left = 0
  #bodyBytes = 0
  /** The body so far, and room for more: a list of its parts would weigh far more than they do if they are small. */
  #kept: Buffer = NOTHING

  /** @param bodyBytesMax - Bytes after which the body is not kept. */
  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax
  }

  /**
   * Takes bytes as they come; they are copied where they are needed longer.
   *
   * @returns The reply once it is whole, or once its body is too long to go on.
   * @throws ReplyError
   */
  push(bytes: Buffer): HttpReply | undefined {
    let rest = bytes
    while (rest.length > 0) {
      if (this.#state === 'done') throw new ReplyError('bytes follow the reply')
      rest = this.#step(rest)
      if (this.#bodyBytes > this.#bodyBytesMax) return this.#reply(undefined)
    }
    return this.#state === 'done' ? this.#reply(this.#body()) : undefined
  }

  /**
   * The connection has ended.
   *
   * @returns The reply, if it was one that ends so.
   */
  end(): HttpReply | undefined {
    return this.#state === 'close' ? this.#reply(this.#body()) : undefined
  }

  #reply(body: Buffer | undefined): HttpReply {
    const { connection, retryAfter, keepAlive } = this.#fields
    const seconds = keepAlive === undefined ? undefined : /(?:^|[\s,;])timeout=(\d{1,9})/i.exec(keepAlive)?.[1]
    const isClosing = this.#isHttp10 || this.#state !== 'done' || /(?:^|[\s,])close(?:$|[\s,])/i.test(connection)
    return {
      statusCode: this.#statusCode,
      body,
      retryAfter,
      // Behind a body that is too long nobody has looked for bytes that do not belong there.
      isKept: !isClosing && body !== undefined,
      keepAliveMs: seconds === undefined ? undefined : Number(seconds) * 1000
    }
  }

  #body(): Buffer {
    return this.#kept.subarray(0, this.#bodyBytes)
  }

  /** Takes a part of the bytes; what is left of them. */
  #step(bytes: Buffer): Buffer {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes)
      case 'length':
      case 'chunk':
        return this.#counted(bytes)
      case 'close':
        this.#keep(bytes)
        return NOTHING
      case 'size':
      case 'chunkEnd':
      case 'trailer':
        return this.#line(bytes)
      case 'done':
        return bytes
    }
  }

  #head(bytes: Buffer): Buffer {
    const seen = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    const end = seen.indexOf('\r\n\r\n')
    this.#limitHead(end < 0 ? seen.length : end)
    if (end < 0) {
      // Copied: the caller's bytes are written over.
      this.#pending = Buffer.from(seen)
      return NOTHING
    }
    this.#pending = NOTHING
    this.#headBytes += end
    this.#readHead(seen.toString('latin1', 0, end))
    return seen.subarray(end + 4)
  }

  #limitHead(byteCount: number): void {
    if (this.#headBytes + byteCount > HEAD_BYTES_MAX) throw new ReplyError('the head of the reply is too long')
  }

  #readHead(text: string): void {
    const lines = text.split('\r\n')
    const status = STATUS_LINE.exec(lines[0] ?? '')
    if (status === null) throw new ReplyError('the reply does not begin with a status line of HTTP/1.1')
    this.#isHttp10 = status[1] === '0'
    this.#statusCode = Number(status[2])
    this.#fields = { connection: '' }
    for (let index = 1; index < lines.length; index += 1) this.#readField(lines[index] ?? '')
    if (this.#statusCode === 101) throw new ReplyError('the reply changes the protocol, which was not asked for')
    // Interim: the reply itself follows.
    if (this.#statusCode < 200) return
    this.#frame()
  }

  #readField(line: string): void {
    const field = FIELD.exec(line)
    if (field === null) throw new ReplyError('the reply has a malformed header')
    const [, name = ''] = field
    const value = trimmed(field[2] ?? '')
    const fields = this.#fields
    switch (name.toLowerCase()) {
      case 'content-length':
        if (!/^\d{1,15}$/.test(value)) throw new ReplyError('the length of the reply is no number')
        if (fields.length !== undefined) throw new ReplyError('the reply has two lengths')
        fields.length = Number(value)
        break
      case 'transfer-encoding':
        if (value.toLowerCase() !== 'chunked' || fields.isChunked === true || this.#isHttp10) {
          throw new ReplyError('the reply has a transfer coding other than chunked')
        }
        fields.isChunked = true
        break
      case 'connection':
        fields.connection += `,${value}`
        break
      case 'keep-alive':
        fields.keepAlive = value
        break
      case 'retry-after':
        fields.retryAfter ??= value
        break
      default:
    }
  }

  /** How the body is told from what follows: RFC 9112, section 6.3. */
  #frame(): void {
    const { length, isChunked } = this.#fields
    if (length !== undefined && isChunked === true) throw new ReplyError('the reply has a length and a transfer coding')
    if (this.#statusCode === 204 || this.#statusCode === 304) this.#state = 'done'
    else if (isChunked === true) this.#state = 'size'
    else if (length === undefined) this.#state = 'close'
    else {
      this.#left = length
      this.#state = length === 0 ? 'done' : 'length'
    }
  }

  #counted(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#left)
    this.#keep(part)
    this.#left -= part.length
    if (this.#left === 0) this.#state = this.#state === 'length' ? 'done' : 'chunkEnd'
    return bytes.subarray(part.length)
  }

  #keep(bytes: Buffer): void {
    const before = this.#bodyBytes
    this.#bodyBytes += bytes.length
    if (this.#bodyBytes > this.#bodyBytesMax) return
    if (this.#bodyBytes > this.#kept.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#bodyBytes, 2 * this.#kept.length))
      this.#kept.copy(grown, 0, 0, before)
      this.#kept = grown
    }
    bytes.copy(this.#kept, before)
  }

  #line(bytes: Buffer): Buffer {
    const seen = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    const end = seen.indexOf('\r\n')
    if ((end < 0 ? seen.length : end) > SIZE_LINE_BYTES_MAX) throw new ReplyError('a line of the reply is too long')
    if (end < 0) {
      this.#pending = Buffer.from(seen)
      return NOTHING
    }
    this.#pending = NOTHING
    this.#readLine(seen.toString('latin1', 0, end))
    return seen.subarray(end + 2)
  }

  #readLine(line: string): void {
    if (this.#state === 'trailer') {
      this.#limitHead(line.length)
      this.#headBytes += line.length
      if (line === '') this.#state = 'done'
      else if (!FIELD.test(line)) throw new ReplyError('the reply has a malformed trailer')
      return
    }
    if (this.#state === 'chunkEnd') {
      if (line !== '') throw new ReplyError('a chunk of the reply is longer than it says')
      this.#state = 'size'
      return
    }
    const size = CHUNK_SIZE.exec(line)?.[1]
    if (size === undefined) throw new ReplyError('a chunk of the reply has no size')
    this.#left = Number.parseInt(size, 16)
    this.#state = this.#left === 0 ? 'trailer' : 'chunk'
  }
}
