/**
 * A set of small numbers as bits, and its text in a store.
 *
 * Which records of a block are done is told by a handful of ranges as long as all goes well, and by no more than one
 * bit per record when it does not. The text is whichever is shorter: `0-499,512` or `~` and the bits in Base64.
 */

/** A set of numbers from 0 to `size` - 1. */
export class IndexSet {
  /** How many numbers it can hold. */
  readonly size: number
  readonly #words: Uint32Array

  /** @param size - From 1 to 65_536. */
  constructor(size: number) {
    this.size = size
    this.#words = new Uint32Array(Math.ceil(size / 32))
  }

  has(index: number): boolean {
    return (((this.#words[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1
  }

  /** Adds a number; one outside the set's size is left out. */
  add(index: number): void {
    if (index >= 0 && index < this.size)
      this.#words[index >>> 5] = (this.#words[index >>> 5] ?? 0) | (1 << (index & 31))
  }

  delete(index: number): void {
    const word = index >>> 5
    if (word < this.#words.length) this.#words[word] = (this.#words[word] ?? 0) & ~(1 << (index & 31))
  }

  /** Adds everything of another set of the same size. */
  addAll(other: IndexSet): void {
    const words = this.#words
    for (let word = 0; word < words.length; word += 1) words[word] = (words[word] ?? 0) | (other.#words[word] ?? 0)
  }

  /** Takes everything of another set out of this one. */
  deleteAll(other: IndexSet): void {
    const words = this.#words
    for (let word = 0; word < words.length; word += 1) words[word] = (words[word] ?? 0) & ~(other.#words[word] ?? 0)
  }

  /** Keeps what is in the other set, too. */
  keepAll(other: IndexSet): void {
    const words = this.#words
    for (let word = 0; word < words.length; word += 1) words[word] = (words[word] ?? 0) & (other.#words[word] ?? 0)
  }

  isEmpty(): boolean {
    return this.#words.every(bits => bits === 0)
  }

  intersects(other: IndexSet): boolean {
    return this.#words.some((bits, word) => (bits & (other.#words[word] ?? 0)) !== 0)
  }

  copy(): IndexSet {
    const copy = new IndexSet(this.size)
    copy.#words.set(this.#words)
    return copy
  }

  /** The numbers, ascending. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let word = 0; word < this.#words.length; word += 1) {
      for (let rest = this.#words[word] ?? 0; rest !== 0; rest &= rest - 1)
        yield word * 32 + (31 - Math.clz32(rest & -rest))
    }
  }

  /** Its text in a store: at most a sixth of `size` in characters, and less than ten for one run of numbers. */
  toText(): string {
    const bitsLength = this.#bitsLength()
    let text = ''
    for (let start = this.#next(0, true); start < this.size;) {
      const end = this.#next(start, false)
      const range = end - start === 1 ? String(start) : `${start}-${end - 1}`
      text = text === '' ? range : `${text},${range}`
      if (text.length > bitsLength) return this.#bitsText()
      start = this.#next(end, true)
    }
    return text
  }

  /** Reads what `toText` wrote; `undefined` if it is no such text, or names numbers beyond the size. */
  static fromText(text: string, size: number): IndexSet | undefined {
    const set = new IndexSet(size)
    if (text === '') return set
    if (text.startsWith('~')) return set.#readBits(text.slice(1)) ? set : undefined
    for (const range of text.split(',')) {
      const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(range)
      if (match === null) return undefined
      const first = Number(match[1])
      const last = Number(match[2] ?? match[1])
      if (last < first || last >= size) return undefined
      set.#addRange(first, last)
    }
    return set
  }

  /** The first number from `from` on that is in the set, or that is not; `size` if there is none. */
  #next(from: number, isIn: boolean): number {
    for (let index = from; index < this.size;) {
      const bits = (this.#words[index >>> 5] ?? 0) ^ (isIn ? 0 : -1)
      const rest = bits >>> (index & 31)
      if (rest !== 0) return Math.min(this.size, index + (31 - Math.clz32(rest & -rest)))
      index = (index | 31) + 1
    }
    return this.size
  }

  #addRange(first: number, last: number): void {
    for (let index = first; index <= last;) {
      const isWhole = (index & 31) === 0 && index + 31 <= last
      if (isWhole) this.#words[index >>> 5] = 0xff_ff_ff_ff
      else this.add(index)
      index += isWhole ? 32 : 1
    }
  }

  #lastWord(): number {
    let last = this.#words.length - 1
    while (last >= 0 && this.#words[last] === 0) last -= 1
    return last
  }

  /** Characters of `#bitsText`. */
  #bitsLength(): number {
    return 1 + Math.ceil(((this.#lastWord() + 1) * 16) / 3)
  }

  #bitsText(): string {
    const count = this.#lastWord() + 1
    const bytes = Buffer.alloc(count * 4)
    for (let word = 0; word < count; word += 1) bytes.writeUInt32LE(this.#words[word] ?? 0, word * 4)
    return `~${bytes.toString('base64url')}`
  }

  #readBits(text: string): boolean {
    const bytes = Buffer.from(text, 'base64url')
    if (!/^[\w-]*$/.test(text) || bytes.length % 4 !== 0 || bytes.length > this.#words.length * 4) return false
    for (let word = 0; word * 4 < bytes.length; word += 1) this.#words[word] = bytes.readUInt32LE(word * 4)
    return this.#next(this.size, true) === this.size
  }
}
