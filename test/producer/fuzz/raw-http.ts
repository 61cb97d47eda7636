/** A sender of HTTP requests that need not be right: bytes on a socket, cut where the test likes. */

import { connect, type Socket } from 'node:net'

/** An answer; `undefined` fields of the body are those that it lacks. */
export interface RawAnswer {
  readonly status: number
  readonly body: {
    readonly accepted?: number
    readonly rejectedCount?: number
    readonly failedCount?: number
    readonly error?: { readonly code: string }
  }
}

/** One connection. */
export class RawSender {
  readonly #socket: Socket
  #text = ''
  #isClosed = false
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', bytes => {
      this.#text += bytes.toString('latin1')
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake()
    })
  }

  /** Connects. */
  static async open(port: number): Promise<RawSender> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new RawSender(socket)
  }

  /** Whether another request can be sent. */
  get isOpen(): boolean {
    return !this.#isClosed
  }

  /** Sends pieces one after the other, each as its own write. */
  async send(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#isClosed) return
      await new Promise<void>(resolve => this.#socket.write(piece, () => resolve()))
    }
  }

  /** The next answer; `undefined` if the connection ended without one. */
  async answer(): Promise<RawAnswer | undefined> {
    for (;;) {
      const answer = this.#take()
      if (answer !== undefined || this.#isClosed) return answer
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  /** Ends the connection in the middle of whatever it does. */
  async cut(): Promise<void> {
    this.#socket.destroy()
    while (!this.#isClosed) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  #take(): RawAnswer | undefined {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const head = this.#text.slice(0, end)
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
    if (this.#text.length < end + 4 + length) return undefined
    const body = this.#text.slice(end + 4, end + 4 + length)
    this.#text = this.#text.slice(end + 4 + length)
    const status = Number(head.split(' ', 2)[1])
    // Answers of Node's own parser have no body.
    return { status, body: body === '' ? {} : (JSON.parse(body) as RawAnswer['body']) }
  }
}
