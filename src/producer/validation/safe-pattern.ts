/**
 * Patterns of schemas that cannot hang: RE2 instead of JavaScript's own engine,
 * which a hostile event can keep busy for years.
 *
 * RE2 needs time linear in the text for any pattern; it knows neither lookaround nor
 * backreferences, so a schema with them does not start. Linear is not cheap: the
 * program of a pattern and the text it is tried on are limited, too.
 */

import { RE2JS, RE2JSSyntaxException } from 're2js'

/** Longest pattern, in characters. */
const PATTERN_CHARS_MAX = 1000
/** Largest program, in RE2's instructions. */
const PROGRAM_SIZE_MAX = 1000
/** Most characters that repetitions such as `{1,20}` may make of a pattern. */
const WRITTEN_OUT_CHARS_MAX = 50_000
/** How much of a pattern a message quotes. */
const NAMED_CHARS_MAX = 80
/** Longer texts match no pattern. */
export const PATTERN_TEXT_CHARS_MAX = 8192

/** A compiled pattern, as ajv wants it. */
export interface SafePattern {
  test(text: string): boolean
  /** ajv keeps patterns by this: two patterns must never have the same. */
  toString(): string
}

/**
 * Compiles a pattern.
 *
 * @throws SyntaxError with what is wrong, and that lookaround is not possible.
 */
export function safePattern(pattern: string): SafePattern {
  const named = `the pattern ${JSON.stringify(pattern.slice(0, NAMED_CHARS_MAX))}`
  if (pattern.length > PATTERN_CHARS_MAX)
    throw new SyntaxError(`${named} has more than ${PATTERN_CHARS_MAX} characters`)
  if (writtenOutChars(pattern) > WRITTEN_OUT_CHARS_MAX) throw new SyntaxError(`${named} repeats too much`)
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(pattern)
  } catch (error) {
    const reason = error instanceof RE2JSSyntaxException ? error.getDescription() : String(error)
    throw new SyntaxError(`${named}: ${reason} (RE2 has no lookaround and no backreferences)`)
  }
  if (compiled.programSize() > PROGRAM_SIZE_MAX) throw new SyntaxError(`${named} is too large: it repeats too much`)
  return {
    test: text => text.length <= PATTERN_TEXT_CHARS_MAX && compiled.matcher(text).find(),
    toString: () => pattern
  }
}

function writtenOutChars(pattern: string): number {
  let repeats = 1
  for (const [, min = '0', max = ''] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) {
    repeats += Math.max(Number(min), Number(max))
  }
  return pattern.length * repeats
}
