/**
 * An HTTP/1.1 server for sinks of benchmarks: it reads every body to its end and answers 200, and does little else, so
 * that it is not what is measured. `node:http` needs three times the CPU for it.
 *
 * It takes kept-alive connections, pipelined requests, and bodies with a length or in chunks.
 */

import { createServer, type Socket } from 'node:net'

/** What a request said. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  /** `comporta-record-count`; 0 if absent. */
  readonly recordCount: number
  readonly bodyBytes: number
}

/** What the server asks of its owner. */
export interface LeanHandler {
  /** Whether bodies are gathered; else `body` is empty. Asked at the start of each request. */
  isBodyKept(): boolean
  /** The text to answer with; `delayMs` holds the answer back, and those behind it on the connection. */
  answer(head: RequestHead, body: Buffer): { readonly text: string; readonly delayMs: number }
}

const HEAD_BYTES_MAX = 65_536
const NO_BODY = Buffer.alloc(0)
const BLANK_LINE = Buffer.from('\r\n\r\n')

/** Serves on a free port of 127.0.0.1. */
export async function serveLean(handler: LeanHandler): Promise<{ readonly url: string }> {
  const server = createServer({ noDelay: true }, socket => {
    const connection = new Connection(socket, handler)
    socket.on('data', chunk => connection.take(chunk))
    socket.on('error', () => socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', 1024, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return { url: `http://127.0.0.1:${address.port}` }
}

class Connection {
  readonly #socket: Socket
  readonly #handler: LeanHandler
  /** Bytes of a head, or of a chunk's size, that is not complete yet. */
  #rest: Buffer = NO_BODY
  #head: { method: string; path: string; recordCount: number } | undefined
  #bodyBytes = 0
  /** Bytes of the body, or of its chunk, that are still to come. */
  #missing = 0
  #isChunked = false
  #kept: Buffer[] | undefined

  constructor(socket: Socket, handler: LeanHandler) {
    this.#socket = socket
    this.#handler = handler
  }

  take(data: Buffer): void {
    let bytes = data
    while (bytes.length > 0 || this.#isBodyDone()) {
      if (this.#head === undefined) bytes = this.#takeHead(bytes)
      else if (this.#missing > 0) bytes = this.#takeBody(bytes)
      else if (this.#isChunked) bytes = this.#takeChunkSize(bytes)
      if (this.#isBodyDone()) this.#finish()
    }
  }

  #isBodyDone(): boolean {
    return this.#head !== undefined && this.#missing === 0 && !this.#isChunked
  }

  #takeHead(data: Buffer): Buffer {
    const bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data])
    const end = bytes.indexOf(BLANK_LINE)
    if (end < 0) return this.#wait(bytes)
    this.#rest = NO_BODY
    const text = bytes.toString('latin1', 0, end)
    const [method = '', path = ''] = text.slice(0, text.indexOf('\r\n')).split(' ')
    this.#head = { method, path, recordCount: numberOf(text, 'comporta-record-count') }
    this.#bodyBytes = 0
    this.#missing = numberOf(text, 'content-length')
    this.#isChunked = /\r\ntransfer-encoding: *chunked/i.test(text)
    this.#kept = this.#handler.isBodyKept() ? [] : undefined
    return bytes.subarray(end + BLANK_LINE.length)
  }

  #takeBody(bytes: Buffer): Buffer {
    const taken = Math.min(this.#missing, bytes.length)
    this.#missing -= taken
    this.#bodyBytes += taken
    this.#kept?.push(bytes.subarray(0, taken))
    return bytes.subarray(taken)
  }

  /** `size CRLF bytes CRLF size CRLF …`; a size of 0 ends the body. Trailers are not taken. */
  #takeChunkSize(data: Buffer): Buffer {
    const bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data])
    const start = bytes[0] === 13 ? 2 : 0
    const end = bytes.indexOf('\r\n', start)
    if (end < 0) return this.#wait(bytes)
    const size = Number.parseInt(bytes.toString('latin1', start, end), 16)
    if (size > 0) {
      this.#rest = NO_BODY
      this.#missing = size
      return bytes.subarray(end + 2)
    }
    if (bytes.length < end + 4) return this.#wait(bytes)
    this.#rest = NO_BODY
    this.#isChunked = false
    return bytes.subarray(end + 4)
  }

  #wait(bytes: Buffer): Buffer {
    if (bytes.length > HEAD_BYTES_MAX) this.#socket.destroy(new Error('a head of a request is too long'))
    this.#rest = bytes
    return NO_BODY
  }

  #finish(): void {
    const { method, path, recordCount } = this.#head ?? { method: '', path: '', recordCount: 0 }
    this.#head = undefined
    const body = this.#kept === undefined ? NO_BODY : Buffer.concat(this.#kept)
    const { text, delayMs } = this.#handler.answer({ method, path, recordCount, bodyBytes: this.#bodyBytes }, body)
    const answer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`
    if (delayMs === 0) this.#socket.write(answer, 'latin1')
    else setTimeout(() => this.#socket.write(answer, 'latin1'), delayMs)
  }
}

function numberOf(head: string, name: string): number {
  return Number(new RegExp(`\\r\\n${name}: *(\\d+)`, 'i').exec(head)?.[1] ?? 0)
}
