/**
 * From text and environment to a checked configuration, or to one error that
 * names every problem with its line.
 */

import { readFile } from 'node:fs/promises'

import { z } from 'zod'

import { messageOf, PipelineError } from '../core/index.ts'
import { applyEnvironment, type EnvironmentOverride, replaceAt } from './environment.ts'
import { invalidConfiguration, type Problem } from './problems.ts'
import type { Report } from './schema/common.ts'
import { checkRules, type PipelineConfig, pipelineSchema, soundSections } from './schema/pipeline.ts'
import { type ConfigSource, type Environment, parseConfigSource } from './source.ts'
import { closestName } from './spelling.ts'

/** Reports what is wrong with a file whose every setting is sound, seen from where it is used. */
export type PipelineCheck = (pipeline: PipelineConfig, report: Report) => void

type Issue = z.core.$ZodIssue
type ParseResult = ReturnType<typeof pipelineSchema.safeParse>

/**
 * Reads and checks a pipeline file.
 *
 * @throws PipelineError `ERR_CONFIG_UNREADABLE`, or `ERR_CONFIG_INVALID` with every problem.
 */
export async function loadPipelineFile(
  path: string,
  environment: Environment,
  checkMore?: PipelineCheck
): Promise<PipelineConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const message = `cannot read ${path}: ${messageOf(error)}. Name a file with --file, or run: comporta init`
    throw new PipelineError('ERR_CONFIG_UNREADABLE', message, { cause: error })
  }
  return parsePipeline(text, { fileName: path, environment, ...(checkMore === undefined ? {} : { checkMore }) })
}

/**
 * Checks the text of a pipeline file.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function parsePipeline(
  text: string,
  options: { readonly fileName: string; readonly environment: Environment; readonly checkMore?: PipelineCheck }
): PipelineConfig {
  const source = parseConfigSource(text, options.environment)
  if (source.problems.length > 0) throw invalidConfiguration(options.fileName, source.problems)
  const { value, overrides } = applyEnvironment(source.value, options.environment)
  const texts = new Map([...source.texts, ...overrides.map(each => [each.path.join('.'), each.text] as const)])
  const { settled, result } = parseWithTexts(value, texts)
  const issues = result.error?.issues ?? []
  const problems = issues.flatMap(issue => problemsOf(issue, source, overrides))
  const report: Report = (path, message) => problems.push(problemAt(path, message, { source, overrides }))
  checkRules(soundSections(settled), report)
  if (result.success) options.checkMore?.(result.data, report)
  if (result.success && problems.length === 0) return result.data
  throw invalidConfiguration(options.fileName, problems)
}

/**
 * Parses, and gives settings that want a string the text of their variable where
 * YAML had read it as a number or a boolean.
 */
function parseWithTexts(value: unknown, texts: ReadonlyMap<string, string>): { settled: unknown; result: ParseResult } {
  const result = pipelineSchema.safeParse(value, { reportInput: true })
  let settled = value
  for (const issue of result.error?.issues ?? []) {
    const text = texts.get(issue.path.join('.'))
    if (issue.code === 'invalid_type' && issue.expected === 'string' && text !== undefined) {
      settled = replaceAt(settled, issue.path.map(String), text)
    }
  }
  return settled === value
    ? { settled, result }
    : { settled, result: pipelineSchema.safeParse(settled, { reportInput: true }) }
}

function problemsOf(issue: Issue, source: ConfigSource, overrides: readonly EnvironmentOverride[]): Problem[] {
  const best = bestBranch(issue)
  if (best !== undefined) return best.flatMap(inner => problemsOf(inner, source, overrides))
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => problemAt([...issue.path, key], unknownKey(key, issue.path), { source, overrides }))
  }
  return [problemAt(issue.path, wordingOf(issue), { source, overrides })]
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

function problemAt(
  path: readonly PropertyKey[],
  message: string,
  from: { readonly source: ConfigSource; readonly overrides: readonly EnvironmentOverride[] }
): Problem {
  const dotted = path.map(String).join('.')
  const override = from.overrides.find(candidate => dotted.startsWith(candidate.path.join('.')))
  if (override !== undefined) {
    return { place: undefined, path: dotted, message: `${message} (set by the environment variable ${override.name})` }
  }
  return { place: from.source.placeOf(path), path: dotted, message }
}

function wordingOf(issue: Issue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined) return `is missing (${issue.expected})`
  return issue.message
}

function unknownKey(key: string, path: readonly PropertyKey[]): string {
  const known = knownKeys(path)
  const closest = closestName(key, known)
  if (closest !== undefined) return `no such setting; did you mean ${closest}?`
  return known.length === 0 ? 'no such setting' : `no such setting; there are: ${known.join(', ')}`
}

/** The settings that the schema knows at a path, unions joined. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let nodes: JsonSchemaNode[] = [pipelineJsonSchema() as JsonSchemaNode]
  for (const step of path) nodes = nodes.flatMap(node => children(node, step))
  return [...new Set(nodes.flatMap(alternatives).flatMap(node => Object.keys(node.properties ?? {})))]
}

interface JsonSchemaNode {
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

/** The pipeline file as JSON Schema (2020-12), for editors. */
export function pipelineJsonSchema(): Record<string, unknown> {
  return {
    $id: 'https://comporta.dev/schema/comporta.schema.json',
    title: 'Comporta pipeline file',
    ...z.toJSONSchema(pipelineSchema, { io: 'input', unrepresentable: 'any' })
  }
}
