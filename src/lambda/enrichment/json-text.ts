/**
 * JSON text taken apart without decoding it: where the members of an object are, how deep it goes, a member appended
 * or cut out. What is not touched keeps every digit, space and escape that it was written with.
 *
 * All functions but `isPlausibleNumber` and `wholeObjectSpans` take text that `JSON.parse` takes; of other text they
 * find something or other, but always end.
 */

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Where one member of an object stands in the text. */
export interface MemberSpan {
  /** Of the name's opening quote. */
  readonly nameStart: number
  /** Behind the name's closing quote. */
  readonly nameEnd: number
  readonly valueStart: number
  readonly valueEnd: number
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (isSpace(text.charCodeAt(at))) at += 1
  return at
}

/** @returns The index behind the string that opens at `from`. */
function skipString(text: string, from: number): number {
  for (let end = text.indexOf('"', from + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slash = end - 1
    while (text.charCodeAt(slash) === BACKSLASH) slash -= 1
    // An even count of backslashes escapes nothing but themselves.
    if ((end - slash) % 2 === 1) return end + 1
  }
  return text.length
}

/** @returns The index behind the value at `from`. */
function skipValue(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === QUOTE) return skipString(text, from)
  if (first !== OPEN_OBJECT && first !== OPEN_LIST) return skipScalar(text, from)
  let depth = 0
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    at += 1
    if (code === OPEN_OBJECT || code === OPEN_LIST) depth += 1
    else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      depth -= 1
      if (depth === 0) return at
    }
  }
  return at
}

function skipScalar(text: string, from: number): number {
  let at = from
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_LIST || isSpace(code)) break
  }
  return at
}

/** Whether the text is an object. */
export function isObjectText(text: string): boolean {
  return text.charCodeAt(skipSpace(text, 0)) === OPEN_OBJECT
}

/** Finds the members of an object, in their order; a name that comes twice is there twice. None for other values. */
export function memberSpans(text: string): MemberSpan[] {
  const spans: MemberSpan[] = []
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== OPEN_OBJECT) return spans
  at = skipSpace(text, at + 1)
  while (text.charCodeAt(at) === QUOTE) {
    const nameEnd = skipString(text, at)
    const colon = skipSpace(text, nameEnd)
    if (text.charCodeAt(colon) !== COLON) break
    const valueStart = skipSpace(text, colon + 1)
    const valueEnd = skipValue(text, valueStart)
    spans.push({ nameStart: at, nameEnd, valueStart, valueEnd })
    at = skipSpace(text, valueEnd)
    if (text.charCodeAt(at) !== COMMA) break
    at = skipSpace(text, at + 1)
  }
  return spans
}

/**
 * Finds the members of text that nobody has parsed yet.
 *
 * @returns `undefined` unless the text is one object, as far as can be told without looking into names and values.
 */
export function wholeObjectSpans(text: string): MemberSpan[] | undefined {
  const start = skipSpace(text, 0)
  if (text.charCodeAt(start) !== OPEN_OBJECT) return undefined
  const spans = memberSpans(text)
  const end = skipSpace(text, spans.at(-1)?.valueEnd ?? start + 1)
  const isClosed = text.charCodeAt(end) === CLOSE_OBJECT && skipSpace(text, end + 1) === text.length
  return isClosed ? spans : undefined
}

/** Finds the entries of a list: where each begins and ends. None for other values. */
export function entryTexts(text: string): string[] {
  const entries: string[] = []
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== OPEN_LIST) return entries
  at = skipSpace(text, at + 1)
  while (at < text.length && text.charCodeAt(at) !== CLOSE_LIST) {
    const end = skipValue(text, at)
    entries.push(text.slice(at, end))
    at = skipSpace(text, end)
    if (text.charCodeAt(at) !== COMMA) break
    at = skipSpace(text, at + 1)
  }
  return entries
}

/** The name of a member, decoded. */
export function nameOf(text: string, span: MemberSpan): string {
  const literal = text.slice(span.nameStart + 1, span.nameEnd - 1)
  // Boundary: a JSON string is text.
  return literal.includes('\\') ? (JSON.parse(`"${literal}"`) as string) : literal
}

/** The text of the member with this name, the last one as in `JSON.parse`; `undefined` if there is none. */
export function memberText(text: string, name: string): string | undefined {
  const span = memberSpans(text).findLast(each => nameOf(text, each) === name)
  return span === undefined ? undefined : text.slice(span.valueStart, span.valueEnd)
}

/** How deep lists and objects are nested: 0 for a scalar, 1 for `{}`. */
export function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    at += 1
    if (code === OPEN_OBJECT || code === OPEN_LIST) {
      depth += 1
      if (depth > deepest) deepest = depth
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) depth -= 1
  }
  return deepest
}

/**
 * Appends members to an object.
 *
 * @param members - `"name":value`, joined by commas; not empty.
 * @returns The text with them, or `undefined` if the text is no object.
 */
export function withMembers(text: string, members: string): string | undefined {
  let end = text.length - 1
  while (end > 0 && isSpace(text.charCodeAt(end))) end -= 1
  // Nothing but an object ends so.
  if (text.charCodeAt(end) !== CLOSE_OBJECT) return undefined
  let last = end - 1
  while (last > 0 && isSpace(text.charCodeAt(last))) last -= 1
  const comma = text.charCodeAt(last) === OPEN_OBJECT ? '' : ','
  return `${text.slice(0, last + 1)}${comma}${members}}`
}

/** An object without the members of these names; the others are as they were, but for space between them. */
export function withoutMembers(text: string, names: ReadonlySet<string>): string {
  const kept = memberSpans(text).filter(span => !names.has(nameOf(text, span)))
  return `{${kept.map(span => text.slice(span.nameStart, span.valueEnd)).join(',')}}`
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** Whether text is a number as JSON writes it. Source: RFC 8259 §6. */
export function isPlausibleNumber(text: string): boolean {
  return NUMBER.test(text)
}
