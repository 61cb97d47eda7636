/**
 * A YAML file checked against a schema: the value, or one error that names every
 * problem with its line. What the pipeline file and scenario files share.
 */

import { readFile } from 'node:fs/promises'

import { z } from 'zod'

import { messageOf, PipelineError } from '../core/index.ts'
import { type EnvironmentOverride, replaceAt } from './environment.ts'
import { invalidConfiguration, type Problem } from './problems.ts'
import type { Report } from './schema/common.ts'
import type { ConfigSource } from './source.ts'
import { closestName } from './spelling.ts'

type Issue = z.core.$ZodIssue

/** Where a value came from. */
interface Origin {
  readonly schema: z.ZodType
  readonly source: ConfigSource
  readonly overrides: readonly EnvironmentOverride[]
}

/** What is checked, and against what. */
export interface CheckOptions<S extends z.ZodType> {
  readonly schema: S
  readonly fileName: string
  readonly source: ConfigSource
  /** The value to check. Default: that of the source. */
  readonly value?: unknown
  /** Settings that the environment gave instead of the file. Default none. */
  readonly overrides?: readonly EnvironmentOverride[]
  /** Rules that span settings: `settled` is the value before the schema, `data` after it, if it is sound. */
  readonly rules: (settled: unknown, data: z.output<S> | undefined, report: Report) => void
}

/**
 * Reads a file.
 *
 * @param remedy - What to do if it cannot be read.
 * @throws PipelineError `ERR_CONFIG_UNREADABLE`.
 */
export async function readConfigFile(path: string, remedy: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const message = `cannot read ${path}: ${messageOf(error)}. ${remedy}`
    throw new PipelineError('ERR_CONFIG_UNREADABLE', message, { cause: error })
  }
}

/**
 * Checks a value that was read from a file.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function checkedValue<S extends z.ZodType>(options: CheckOptions<S>): z.output<S> {
  const { schema, fileName, source, value = source.value, overrides = [] } = options
  if (source.problems.length > 0) throw invalidConfiguration(fileName, source.problems)
  const origin = { schema, source, overrides }
  const texts = new Map([...source.texts, ...overrides.map(each => [each.path.join('.'), each.text] as const)])
  const { settled, result } = parseWithTexts(schema, value, texts)
  const problems = (result.error?.issues ?? []).flatMap(issue => problemsOf(issue, origin))
  options.rules(settled, result.data, (path, message) => problems.push(problemAt(path, message, origin)))
  if (result.success && problems.length === 0) return result.data
  throw invalidConfiguration(fileName, problems)
}

/**
 * Parses, and gives settings that want a string the text of their variable where
 * YAML had read it as a number or a boolean.
 */
function parseWithTexts<S extends z.ZodType>(
  schema: S,
  value: unknown,
  texts: ReadonlyMap<string, string>
): { settled: unknown; result: z.ZodSafeParseResult<z.output<S>> } {
  const result = schema.safeParse(value, { reportInput: true })
  let settled = value
  for (const issue of (result.error?.issues ?? []).flatMap(leavesOf)) {
    const text = texts.get(issue.path.join('.'))
    if (issue.code === 'invalid_type' && issue.expected === 'string' && text !== undefined) {
      settled = replaceAt(settled, issue.path.map(String), text)
    }
  }
  return settled === value ? { settled, result } : { settled, result: schema.safeParse(settled, { reportInput: true }) }
}

/** The issues of every alternative of a union, with their whole paths. */
function leavesOf(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue]
  return issue.errors.flat().flatMap(inner => leavesOf({ ...inner, path: [...issue.path, ...inner.path] }))
}

function problemsOf(issue: Issue, origin: Origin): Problem[] {
  const alternatives = valueOrWord(issue)
  if (alternatives !== undefined) return [problemAt(issue.path, alternatives, origin)]
  const best = bestBranch(issue)
  if (best !== undefined) return best.flatMap(inner => problemsOf(inner, origin))
  const unknown = unknownSettings(origin.schema, issue)
  if (unknown.length > 0) return unknown.map(({ path, message }) => problemAt(path, message, origin))
  return [problemAt(issue.path, wordingOf(issue), origin)]
}

/** A setting that is a number or a word, such as `5` or `adaptive`: whoever misspells the word has to hear of it. */
function valueOrWord(issue: Issue): string | undefined {
  if (issue.code !== 'invalid_union') return undefined
  const alone = issue.errors.flatMap(inner => (inner.length === 1 && inner[0]?.path.length === 0 ? inner : []))
  const types = alone.flatMap(inner => (inner.code === 'invalid_type' ? [inner.expected] : []))
  const words = alone.flatMap(inner =>
    inner.code === 'invalid_value' ? inner.values.map(word => `"${String(word)}"`) : []
  )
  if (words.length === 0 || types.length + words.length !== issue.errors.length) return undefined
  return `Invalid input: expected ${[...types, ...words].join(' or ')}`
}

/**
 * A union reports one list of issues per alternative. The list that fits best is
 * the one that got furthest: its first issue lies deepest, or it has the fewest.
 */
function bestBranch(issue: Issue): Issue[] | undefined {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return undefined
  const depthOf = (issues: readonly Issue[]): number => Math.max(...issues.map(inner => inner.path.length))
  const [best] = issue.errors.toSorted((a, b) => depthOf(b) - depthOf(a) || a.length - b.length)
  return best?.map(inner => ({ ...inner, path: [...issue.path, ...inner.path] }))
}

function problemAt(path: readonly PropertyKey[], message: string, from: Origin): Problem {
  const dotted = path.map(String).join('.')
  const override = from.overrides.find(candidate => dotted.startsWith(candidate.path.join('.')))
  if (override !== undefined) {
    return { place: undefined, path: dotted, message: `${message} (set by the environment variable ${override.name})` }
  }
  return { place: from.source.placeOf(path), path: dotted, message }
}

function wordingOf(issue: Issue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined) return `is missing (${issue.expected})`
  // A name that is wrong, of which the check of names says more than that.
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message
  return issue.message
}

/** Settings that there are not, and which was meant; none if that is not what an issue is about. */
export function unknownSettings(
  schema: z.ZodType,
  issue: z.core.$ZodIssue
): { readonly path: readonly PropertyKey[]; readonly message: string }[] {
  if (issue.code !== 'unrecognized_keys') return []
  const known = knownSettings(schema, issue.path, issue.input)
  return issue.keys.map(key => ({ path: [...issue.path, key], message: unknownKey(key, known) }))
}

function unknownKey(key: string, { here, elsewhere }: KnownSettings): string {
  if (elsewhere.includes(key)) return 'does not go together with the settings beside it'
  const closest = closestName(key, here)
  if (closest !== undefined) return `no such setting; did you mean ${closest}?`
  return here.length === 0 ? 'no such setting' : `no such setting; there are: ${here.join(', ')}`
}

interface KnownSettings {
  /** Settings of the forms of the section that the value may have. */
  readonly here: readonly string[]
  /** Those of all its forms. */
  readonly elsewhere: readonly string[]
}

/** The settings that the schema knows at a path. */
function knownSettings(schema: z.ZodType, path: readonly PropertyKey[], value: unknown): KnownSettings {
  let nodes: JsonSchemaNode[] = [z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchemaNode]
  for (const step of path) nodes = nodes.flatMap(node => children(node, step))
  const forms = nodes.flatMap(alternatives)
  const namesOf = (some: readonly JsonSchemaNode[]): string[] => [
    ...new Set(some.flatMap(node => Object.keys(node.properties ?? {})))
  ]
  return { here: namesOf(forms.filter(form => mayBe(form, value))), elsewhere: namesOf(forms) }
}

/** Whether a value has the constants of a form: `type: http` is no file source. */
function mayBe({ properties = {} }: JsonSchemaNode, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  const given = value as Record<string, unknown>
  return Object.entries(properties).every(([name, node]) => node.const === undefined || given[name] === node.const)
}

interface JsonSchemaNode {
  readonly const?: unknown
  readonly properties?: Record<string, JsonSchemaNode>
  readonly additionalProperties?: JsonSchemaNode | boolean
  readonly items?: JsonSchemaNode
  readonly anyOf?: JsonSchemaNode[]
  readonly oneOf?: JsonSchemaNode[]
}

function alternatives(node: JsonSchemaNode): JsonSchemaNode[] {
  return [node, ...(node.anyOf ?? []).flatMap(alternatives), ...(node.oneOf ?? []).flatMap(alternatives)]
}

function children(node: JsonSchemaNode, step: PropertyKey): JsonSchemaNode[] {
  return alternatives(node).flatMap(alternative => {
    const property = alternative.properties?.[String(step)]
    if (property !== undefined) return [property]
    if (typeof step === 'number' && alternative.items !== undefined) return [alternative.items]
    return typeof alternative.additionalProperties === 'object' ? [alternative.additionalProperties] : []
  })
}
