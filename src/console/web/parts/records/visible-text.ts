/**
 * Text of records as people can trust it: pure. Whoever wrote a record may have put marks into it that turn or hide
 * text; those are shown for what they are.
 */

/** A piece of text; `isEscape`: it stands for something that is not seen. */
export interface TextPiece {
  readonly text: string
  readonly isEscape: boolean
}

// Control characters but tab and line ends, what is not seen, separators, and halves of pairs.
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
const kept = new Set(['\n', '\r', '\t'])

/** Text in pieces that are shown one after the other. */
export function visiblePieces(text: string): readonly TextPiece[] {
  const pieces: TextPiece[] = []
  let at = 0
  for (const match of text.matchAll(unseen)) {
    if (kept.has(match[0])) continue
    if (match.index > at) pieces.push({ text: text.slice(at, match.index), isEscape: false })
    const code = match[0].codePointAt(0) ?? 0
    pieces.push({ text: `U+${code.toString(16).toUpperCase().padStart(4, '0')}`, isEscape: true })
    at = match.index + match[0].length
  }
  if (at < text.length) pieces.push({ text: text.slice(at), isEscape: false })
  return pieces
}

/** The beginning of a text on one line. */
export function oneLine(text: string, charsMax: number): string {
  const head = text
    .slice(0, charsMax * 2)
    .replaceAll(/\s+/g, ' ')
    .trim()
  const pieces = visiblePieces(head)
  return pieces
    .map(piece => (piece.isEscape ? `[${piece.text}]` : piece.text))
    .join('')
    .slice(0, charsMax)
}

/** Longest JSON that is laid out. */
const JSON_CHARS_MAX = 500_000

/**
 * JSON with a member a line, from its text: numbers stay as long as they were written. What is not JSON comes back as
 * it is.
 */
export function layOutJson(text: string): string {
  if (text.length > JSON_CHARS_MAX) return text
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)
  if (tokens === null) return text
  let out = ''
  let depth = 0
  const line = (): string => `\n${'  '.repeat(depth)}`
  for (const [index, token] of tokens.entries()) {
    const isEmpty = (token === '{' && tokens[index + 1] === '}') || (token === '[' && tokens[index + 1] === ']')
    const closesEmpty = (token === '}' && tokens[index - 1] === '{') || (token === ']' && tokens[index - 1] === '[')
    if (token === '{' || token === '[') {
      out += token
      if (!isEmpty) {
        depth += 1
        out += line()
      }
    } else if (token === '}' || token === ']') {
      if (closesEmpty) out += token
      else {
        depth = Math.max(0, depth - 1)
        out += `${line()}${token}`
      }
    } else if (token === ',') out += `,${line()}`
    else out += token === ':' ? ': ' : token
  }
  return out
}
