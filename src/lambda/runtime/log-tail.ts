/** The last 4 KB that an invocation wrote: what `X-Amz-Log-Type: Tail` answers. Source: Lambda API, `Invoke`. */

/** Most bytes of a log tail. */
export const LOG_TAIL_BYTES = 4_096

/** Keeps the end of a growing text; memory stays below twice the limit plus one piece. */
export class LogTail {
  #text = ''

  /** Adds text at the end. */
  append(text: string): void {
    this.#text += text
    // Cut now and then, not at every line. A character is at least one byte, so enough always remains.
    if (this.#text.length > 2 * LOG_TAIL_BYTES) this.#text = this.#text.slice(-LOG_TAIL_BYTES)
  }

  /** The last bytes in Base64, cut at a character. */
  toBase64(): string {
    const bytes = Buffer.from(this.#text, 'utf8')
    let start = Math.max(0, bytes.length - LOG_TAIL_BYTES)
    // 0b10xxxxxx continues a character that the cut has beheaded.
    while (start > 0 && start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1
    return bytes.toString('base64', start)
  }
}
