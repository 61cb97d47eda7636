/**
 * Settings from the environment: every setting of the pipeline file can be
 * overridden without touching it.
 *
 * The name of a variable is `COMPORTA_` and the path, steps joined by two
 * underscores, camel case written as upper snake case:
 * `dispatcher.batch.recordsMax` is `COMPORTA_DISPATCHER__BATCH__RECORDS_MAX`,
 * the port of the first source `COMPORTA_PRODUCER__SOURCES__0__PORT`. A step that
 * exists in the file under another spelling (the topic `mt-c400`) is found by
 * comparing letters and digits only. Values are read as YAML, so numbers,
 * booleans and `[lists]` work.
 */

import { parse } from 'yaml'

import type { Environment } from './source.ts'

const prefix = 'COMPORTA_'

/**
 * Variables with the prefix that are not settings: the command line reads them itself.
 */
const notSettings: ReadonlySet<string> = new Set(['COMPORTA_CONTROL_TOKEN', 'COMPORTA_FILE', 'COMPORTA_LOG_LEVEL'])

/** One override as read from the environment. */
export interface EnvironmentOverride {
  /** Name of the variable. */
  readonly name: string
  /** Path of the setting it replaces. */
  readonly path: readonly string[]
  /** Its value as it stood, before it was read as YAML. */
  readonly text: string
}

/** Applies the environment's overrides to a parsed file. Returns a new value and what was applied. */
export function applyEnvironment(
  value: unknown,
  environment: Environment
): { value: unknown; overrides: EnvironmentOverride[] } {
  const overrides: EnvironmentOverride[] = []
  let result = value
  for (const name of Object.keys(environment).toSorted()) {
    const text = environment[name]
    if (!name.startsWith(prefix) || notSettings.has(name) || text === undefined) continue
    const steps = name.slice(prefix.length).split('__')
    if (steps.some(step => step === '')) continue
    const path = resolvePath(result, steps)
    result = replaceAt(result, path, readAsYaml(text))
    overrides.push({ name, path, text })
  }
  return { value: result, overrides }
}

function resolvePath(value: unknown, steps: readonly string[]): string[] {
  const path: string[] = []
  let node = value
  for (const step of steps) {
    const existing = isRecord(node) ? Object.keys(node).find(key => lettersOf(key) === lettersOf(step)) : undefined
    const key = existing ?? toCamelCase(step)
    path.push(key)
    node = isRecord(node) || Array.isArray(node) ? (node as Record<string, unknown>)[key] : undefined
  }
  return path
}

function readAsYaml(text: string): unknown {
  try {
    return parse(text) as unknown
  } catch {
    // Not YAML, for example a password with a colon and a space: the schema judges it as a string.
    return text
  }
}

/** A copy of a value with the setting at a path replaced; missing parents are made. */
export function replaceAt(value: unknown, path: readonly string[], replacement: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return replacement
  if (Array.isArray(value)) {
    const copy: unknown[] = [...(value as unknown[])]
    copy[Number(step)] = replaceAt(copy[Number(step)], rest, replacement)
    return copy
  }
  const record = isRecord(value) ? value : {}
  return { ...record, [step]: replaceAt(Object.hasOwn(record, step) ? record[step] : undefined, rest, replacement) }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function lettersOf(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
}

function toCamelCase(step: string): string {
  return step.toLowerCase().replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase())
}
