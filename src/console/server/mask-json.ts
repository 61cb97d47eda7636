/**
 * Replaces members of a JSON text and leaves every other byte as it is.
 *
 * The text is parsed once by the platform, which refuses what is not JSON; the walk over it can then trust its grammar.
 * A path names members from the top, `a.b`; `*` is any name, `**` any number of levels. Elements of lists are on the
 * level of their list: `cards.number` reaches `{"cards":[{"number":1}]}`.
 *
 * Limits: 64 levels; what is deeper counts as not JSON.
 */

const DEPTH_MAX = 64

/**
 * @param mask - What stands for a hidden value, as a JSON string.
 * @returns The text, or `undefined` if it is not JSON.
 */
export function maskJson(text: string, paths: readonly string[], mask: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined // not JSON: the caller hides all of it
  }
  const walk = new Walk(text, JSON.stringify(mask))
  return walk.value(
    paths.map(path => path.split('.')),
    0
  )
    ? walk.output()
    : undefined
}

type Path = readonly string[]

class Walk {
  readonly #text: string
  readonly #mask: string
  readonly #parts: string[] = []
  #position = 0
  #copiedTo = 0

  constructor(text: string, mask: string) {
    this.#text = text
    this.#mask = mask
  }

  output(): string {
    return this.#parts.join('') + this.#text.slice(this.#copiedTo)
  }

  /** Walks over a value below which these paths are left. False: it is too deep. */
  value(paths: readonly Path[], depth: number): boolean {
    if (depth > DEPTH_MAX) return false
    this.#space()
    const first = this.#text[this.#position]
    if (first === '{') return this.#object(paths, depth)
    if (first === '[') return this.#list(paths, depth)
    if (first === '"') this.#string()
    else this.#scalar()
    return true
  }

  #object(paths: readonly Path[], depth: number): boolean {
    this.#position += 1
    for (this.#space(); this.#text[this.#position] !== '}'; this.#space()) {
      if (this.#text[this.#position] === ',') this.#position += 1
      this.#space()
      const start = this.#position
      this.#string()
      // With escapes undone: "number" is number.
      const name = String(JSON.parse(this.#text.slice(start, this.#position)))
      this.#space()
      this.#position += 1 // the colon
      const below = paths.flatMap(path => step(path, name))
      if (!this.#member(below, depth)) return false
    }
    this.#position += 1
    return true
  }

  #member(below: readonly Path[], depth: number): boolean {
    this.#space()
    const start = this.#position
    const isHidden = below.some(path => path.length === 0)
    if (!this.value(isHidden ? [] : below, depth + 1)) return false
    if (!isHidden) return true
    this.#parts.push(this.#text.slice(this.#copiedTo, start), this.#mask)
    this.#copiedTo = this.#position
    return true
  }

  #list(paths: readonly Path[], depth: number): boolean {
    this.#position += 1
    for (this.#space(); this.#text[this.#position] !== ']'; this.#space()) {
      if (this.#text[this.#position] === ',') this.#position += 1
      if (!this.value(paths, depth + 1)) return false
    }
    this.#position += 1
    return true
  }

  #string(): void {
    this.#position += 1
    while (this.#text[this.#position] !== '"') this.#position += this.#text[this.#position] === '\\' ? 2 : 1
    this.#position += 1
  }

  #scalar(): void {
    while (this.#position < this.#text.length && !',]} \t\r\n'.includes(this.#text[this.#position] ?? ',')) {
      this.#position += 1
    }
  }

  #space(): void {
    while (' \t\r\n'.includes(this.#text[this.#position] ?? 'x')) this.#position += 1
  }
}

/** What is left of a path below a member; empty = the member itself is hidden. */
function step(path: Path, name: string): Path[] {
  const [first, ...rest] = path
  if (first === '**') return [path, ...step(rest, name)]
  return first === '*' || first === name ? [rest] : []
}
