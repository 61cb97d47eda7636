/**
 * Topic patterns of consumer groups: RE2 syntax, the whole name must match.
 *
 * Clients send the pattern as Java's RE2J understands it, so it is compiled by
 * the same engine's JavaScript port: JavaScript's own regular expressions differ
 * in syntax, and a hostile one would stop the broker. RE2 needs time linear in
 * the name for any pattern.
 *
 * Limits: patterns of at most 10_000 characters, compiled ones kept: 1000.
 */

import { RE2JS, RE2JSSyntaxException } from 're2js'
import { messageOf } from '../../core/index.ts'

const PATTERN_CHARS_MAX = 10_000
const CACHE_COUNT_MAX = 1000
const compiled = new Map<string, RE2JS>()

/** Why a pattern is not one, as a sentence; `undefined` if it is. */
export function topicRegexProblem(pattern: string): string | undefined {
  if (pattern.length > PATTERN_CHARS_MAX) return `it is longer than ${PATTERN_CHARS_MAX} characters`
  try {
    compile(pattern)
    return undefined
  } catch (error) {
    return error instanceof RE2JSSyntaxException ? error.getDescription() : messageOf(error)
  }
}

/** The names that a pattern matches, sorted. The pattern must have been checked before. */
export function matchingTopics(pattern: string, names: Iterable<string>): string[] {
  const regex = compile(pattern)
  return [...names].filter(name => regex.matches(name)).toSorted()
}

function compile(pattern: string): RE2JS {
  const known = compiled.get(pattern)
  if (known !== undefined) return known
  const regex = RE2JS.compile(pattern)
  const oldest = compiled.keys().next()
  if (compiled.size >= CACHE_COUNT_MAX && oldest.done !== true) compiled.delete(oldest.value)
  compiled.set(pattern, regex)
  return regex
}
