/**
 * The pipeline file as text: YAML, `${VARIABLE}` and `${VARIABLE:-default}`,
 * and the place of every setting.
 *
 * Variables are replaced inside scalar values only, after parsing, so that no
 * value of a variable can change the structure of the file. A scalar that is
 * one reference and nothing else, quoted or not, is read again as a YAML scalar:
 * the port in `port: ${PORT:-8080}` is a number. The text as it stood is kept
 * too, for settings that want a string: a password may be 0123.
 */

import { type Document, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Scalar, visit } from 'yaml'

import type { Place, Problem } from './problems.ts'

/** The environment as a value: names to strings. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A parsed file, not yet checked against the schema. */
export interface ConfigSource {
  /** The plain value of the file, variables replaced. */
  readonly value: unknown
  /** The text of each setting that a variable gave, by dotted path. */
  readonly texts: ReadonlyMap<string, string>
  /** Problems of syntax and of variables. */
  readonly problems: readonly Problem[]
  /** The place of the setting at a path, or of its nearest parent that exists. */
  placeOf(path: readonly PropertyKey[]): Place | undefined
}

const reference = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\$\{/g

/** Parses a pipeline file's text. */
export function parseConfigSource(text: string, environment: Environment): ConfigSource {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true })
  const placeAt = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset)
    return { line, column: col }
  }
  const problems: Problem[] = document.errors.map(error => ({
    place: placeAt(error.pos[0]),
    path: '',
    message: `not valid YAML: ${error.message}`
  }))
  const texts = new Map<string, string>()
  if (problems.length === 0) problems.push(...replaceVariables(document, { environment, placeAt, texts }))
  return {
    texts,
    value: problems.length === 0 ? toPlainValue(document, problems) : undefined,
    problems,
    placeOf: path => placeOf(document, path, placeAt)
  }
}

/** The library refuses aliases that expand without end by an exception: it becomes a problem like any other. */
function toPlainValue(document: Document, problems: Problem[]): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (error) {
    problems.push({ place: undefined, path: '', message: `not valid YAML: ${(error as Error).message}` })
    return undefined
  }
}

interface Replacement {
  readonly environment: Environment
  readonly placeAt: (offset: number) => Place
  readonly texts: Map<string, string>
}

function replaceVariables(document: Document, { environment, placeAt, texts }: Replacement): Problem[] {
  const problems: Problem[] = []
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return
      const place = placeAt(node.range?.[0] ?? 0)
      const missing: string[] = []
      const text = node.value.replaceAll(
        reference,
        (_match, name: string | undefined, fallback: string | undefined) => {
          if (name === undefined) return '${'
          const value = environment[name]
          if (value !== undefined && value !== '') return value
          if (fallback === undefined) missing.push(name)
          return fallback ?? ''
        }
      )
      for (const name of missing) {
        problems.push({ place, path: '', message: variableMissing(name) })
      }
      const isTyped = isOneReference(node)
      node.value = isTyped ? plainScalar(text) : text
      if (isTyped) texts.set(dottedPath(key, ancestors), text)
    }
  })
  return problems
}

/** The path of a node from what the library's visitor knows of it. */
function dottedPath(key: unknown, ancestors: readonly unknown[]): string {
  const steps = ancestors.flatMap((ancestor, index) => {
    const below = ancestors[index + 1]
    if (isPair(ancestor)) return isScalar(ancestor.key) ? [String(ancestor.key.value)] : []
    if (!isSeq(ancestor)) return []
    return [below === undefined ? String(key) : String(ancestor.items.indexOf(below))]
  })
  return steps.join('.')
}

function variableMissing(name: string): string {
  return `the environment variable ${name} is not set; set it, or give a default with \${${name}:-default}`
}

function isOneReference(node: Scalar): boolean {
  return /^\$\{[^}]*\}$/.test(String(node.value))
}

/** Reads replaced text as a YAML scalar; anything that is not one (a list, a mapping) stays text. */
function plainScalar(text: string): unknown {
  const document = parseDocument(text, { prettyErrors: false })
  return document.errors.length === 0 && isScalar(document.contents) ? document.contents.value : text
}

function placeOf(
  document: Document,
  path: readonly PropertyKey[],
  placeAt: (offset: number) => Place
): Place | undefined {
  let node: unknown = document.contents
  let offset: number | undefined
  for (const step of path) {
    const next = stepInto(node, step)
    if (next === undefined) break
    node = next.node
    offset = next.offset
  }
  return offset === undefined ? undefined : placeAt(offset)
}

function stepInto(node: unknown, step: PropertyKey): { node: unknown; offset: number } | undefined {
  if (isMap(node)) {
    const pair = node.items.find(item => isScalar(item.key) && String(item.key.value) === String(step))
    if (pair === undefined || !isScalar(pair.key)) return undefined
    return { node: pair.value, offset: pair.key.range?.[0] ?? 0 }
  }
  if (isSeq(node)) {
    const item: unknown = node.items[Number(step)]
    const range = (item as { range?: [number, number, number] } | undefined)?.range
    return range === undefined ? undefined : { node: item, offset: range[0] }
  }
  return undefined
}
