/**
 * Topic patterns of consumer groups: RE2 syntax, the whole name must match.
 *
 * Clients send the pattern as Java's RE2J understands it, so it is compiled by
 * the same engine's JavaScript port: JavaScript's own regular expressions differ
 * in syntax, and a hostile one would stop the broker. RE2 needs time linear in
 * the name for any pattern.
 *
 * Linear is not cheap: a pattern is refused whose program is larger than
 * `PROGRAM_SIZE_MAX`, because all names are matched on the broker's one thread.
 * What compiling might cost is judged by its text before it is tried.
 *
 * Limits: patterns of at most 10_000 characters, compiled ones kept: 1000.
 */

import { RE2JS, RE2JSSyntaxException } from 're2js'
import { messageOf } from '../../core/index.ts'

const PATTERN_CHARS_MAX = 10_000
const CACHE_COUNT_MAX = 1000
/** Largest program of a pattern, in RE2's instructions: some tens of milliseconds for a name at the worst. */
const PROGRAM_SIZE_MAX = 5000
/** Most characters that repetitions such as `{1,20}` may make of a pattern, if each repeated all of it. */
const WRITTEN_OUT_CHARS_MAX = 200_000
const TOO_LARGE = 'it repeats too much: its program is too large'
const compiled = new Map<string, RE2JS>()

/** Why a pattern is not one, as a sentence; `undefined` if it is. */
export function topicRegexProblem(pattern: string): string | undefined {
  if (pattern.length > PATTERN_CHARS_MAX) return `it is longer than ${PATTERN_CHARS_MAX} characters`
  if (writtenOutChars(pattern) > WRITTEN_OUT_CHARS_MAX) return TOO_LARGE
  try {
    return compiled.has(pattern) || keep(pattern, RE2JS.compile(pattern)) ? undefined : TOO_LARGE
  } catch (error) {
    return error instanceof RE2JSSyntaxException ? error.getDescription() : messageOf(error)
  }
}

/** The names that a pattern matches, sorted. The pattern must have been checked before. */
export function matchingTopics(pattern: string, names: Iterable<string>): string[] {
  const known = compiled.get(pattern)
  const regex = known ?? RE2JS.compile(pattern)
  if (known === undefined) keep(pattern, regex)
  return [...names].filter(name => regex.matches(name)).toSorted()
}

function writtenOutChars(pattern: string): number {
  let repeats = 1
  for (const [, min = '0', max = ''] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) {
    repeats += Math.max(Number(min), Number(max))
  }
  return pattern.length * repeats
}

/** Keeps a compiled pattern; false if it is too large. */
function keep(pattern: string, regex: RE2JS): boolean {
  if (regex.programSize() > PROGRAM_SIZE_MAX) return false
  const oldest = compiled.keys().next()
  if (compiled.size >= CACHE_COUNT_MAX && oldest.done !== true) compiled.delete(oldest.value)
  compiled.set(pattern, regex)
  return true
}
