/**
 * What is wrong with options of the distributor.
 *
 * Checked by hand and not by a schema library, because the function is loaded
 * on every cold start and is meant to be bundled into one small file.
 */

import { enrichmentProblems } from '../enrichment/settings.ts'
import { observabilityProblems } from '../observability/settings.ts'
import { idempotencyProblems } from '../idempotency/settings.ts'
import { sinkProblems } from '../../targets/sinks/index.ts'
import { checkWhen } from './routes.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Names that a routing function answers with. */
const RESERVED: readonly string[] = ['deadLetter', 'skip']

/** Members of the options that are plain data. */
const MEMBERS: readonly string[] = [
  'field',
  'targets',
  'routes',
  'otherwise',
  'timeoutMs',
  'retry',
  'reserveMs',
  'recordsMax',
  'bytesMax',
  'order',
  'bisectRequestsMax',
  'idempotency',
  'enrich',
  'observability'
]
/** Members that only a program can give. */
const CODE_MEMBERS: readonly string[] = [
  'sinks',
  'route',
  'environment',
  'guard',
  'enricher',
  'observer',
  'tracer',
  'logger',
  'ledgerMax',
  'ledgerTtlMs',
  'clock',
  'random'
]

/**
 * Every problem of the options, of any value; empty when they can work.
 *
 * @param environment - Where `{ env: NAME }` is looked up; without it only the form is checked.
 */
export function distributorOptionProblems(given: unknown, environment?: Environment): string[] {
  if (!isRecord(given)) return ['options: is not an object']
  const problems: string[] = []
  for (const name of Object.keys(given)) {
    if (name === 'services') problems.push('services: has become targets')
    else if (!MEMBERS.includes(name) && !CODE_MEMBERS.includes(name)) problems.push(`${name}: is no option`)
  }
  const names = checkTargets(problems, given, environment)
  if (given['field'] !== undefined && (typeof given['field'] !== 'string' || given['field'] === '')) {
    problems.push('field: is not a name')
  }
  checkRoutes(problems, given['routes'], names)
  if (given['route'] !== undefined && typeof given['route'] !== 'function') problems.push('route: is not a function')
  if (given['logger'] !== undefined && !(isRecord(given['logger']) && typeof given['logger']['error'] === 'function')) {
    problems.push('logger: is none')
  }
  const { otherwise, order } = given
  if (Array.isArray(otherwise)) checkNames(problems, { path: 'otherwise', given: otherwise, names })
  else if (otherwise !== undefined && otherwise !== 'deadLetter' && otherwise !== 'skip') {
    problems.push('otherwise: is neither deadLetter, skip nor a list of targets')
  }
  if (order !== undefined && order !== 'partition' && order !== 'key') {
    problems.push('order: is neither partition nor key')
  }
  for (const name of ['timeoutMs', 'recordsMax', 'bytesMax', 'bisectRequestsMax', 'ledgerMax', 'ledgerTtlMs']) {
    checkCount(problems, { path: name, value: given[name], min: 1 })
  }
  checkCount(problems, { path: 'reserveMs', value: given['reserveMs'], min: 0 })
  checkRetry(problems, 'retry', given['retry'])
  const { idempotency, enrich, observability } = given
  if (idempotency !== undefined) {
    problems.push(...idempotencyProblems(idempotency).map(each => `idempotency${placed(each)}`))
  }
  if (enrich !== undefined)
    problems.push(...enrichmentProblems(enrich, environment).map(each => `enrich${placed(each)}`))
  if (observability !== undefined) {
    problems.push(...observabilityProblems(observability).map(each => `observability${placed(each)}`))
  }
  return problems
}

/** Checks the targets; the names of all of them. */
function checkTargets(problems: string[], given: Record<string, unknown>, environment?: Environment): string[] {
  const targets = given['targets'] ?? {}
  const sinks = given['sinks'] ?? {}
  if (!isRecord(targets)) problems.push('targets: is not an object of names and targets')
  const names = Object.keys(isRecord(targets) ? targets : {})
  const sinkNames = Object.keys(isRecord(sinks) ? sinks : {})
  if (names.length + sinkNames.length === 0) problems.push('targets: at least one is needed')
  for (const name of sinkNames) if (names.includes(name)) problems.push(`sinks.${name}: is in targets as well`)
  for (const name of [...names, ...sinkNames]) {
    // It becomes part of a header.
    if (!/^[\x21-\x7e]+$/.test(name)) problems.push(`targets.${name}: a name is made of printable ASCII without spaces`)
    if (RESERVED.includes(name)) problems.push(`targets.${name}: this name has a meaning of its own`)
  }
  for (const [name, target] of Object.entries(isRecord(targets) ? targets : {})) {
    const settings = typeof target === 'string' ? { type: 'http', url: target } : target
    for (const each of sinkProblems(settings, environment)) problems.push(`targets.${name}${placed(each)}`)
    if (!isRecord(settings)) continue
    checkCount(problems, { path: `targets.${name}.timeoutMs`, value: settings['timeoutMs'], min: 1 })
    checkRetry(problems, `targets.${name}.retry`, settings['retry'])
  }
  return [...names, ...sinkNames]
}

/** A problem of a member follows its path; one of the whole does not. */
function placed(problem: string): string {
  return /^[\w.-]+: /.test(problem) ? `.${problem}` : `: ${problem}`
}

function checkRetry(problems: string[], path: string, retry: unknown): void {
  if (retry === undefined) return
  if (!isRecord(retry)) {
    problems.push(`${path}: is not an object with attemptsMax and backoffMs`)
    return
  }
  for (const name of Object.keys(retry)) {
    if (name !== 'attemptsMax' && name !== 'backoffMs') problems.push(`${path}.${name}: is no option`)
  }
  checkCount(problems, { path: `${path}.attemptsMax`, value: retry['attemptsMax'], min: 1, max: 10 })
  checkCount(problems, { path: `${path}.backoffMs`, value: retry['backoffMs'], min: 1 })
}

function checkRoutes(problems: string[], routes: unknown, names: readonly string[]): void {
  if (routes === undefined) return
  if (!Array.isArray(routes)) {
    problems.push('routes: is not a list')
    return
  }
  for (const [index, route] of routes.entries()) {
    const path = `routes.${index}`
    if (!isRecord(route)) {
      problems.push(`${path}: is not an object`)
      continue
    }
    const { values, when, targets } = route
    if ((values === undefined) === (when === undefined)) problems.push(`${path}: needs either values or when`)
    if (values !== undefined) checkValues(problems, `${path}.values`, values)
    if (when !== undefined) {
      checkWhen(when, (place, message) =>
        problems.push(`${[path, 'when', ...place.map(String)].join('.')}: ${message}`)
      )
    }
    for (const name of Object.keys(route)) {
      if (!['values', 'when', 'targets'].includes(name)) problems.push(`${path}.${name}: is no option`)
    }
    checkNames(problems, { path: `${path}.targets`, given: Array.isArray(targets) ? targets : [], names })
  }
}

function checkValues(problems: string[], path: string, values: unknown): void {
  if (!Array.isArray(values) || values.length === 0) {
    problems.push(`${path}: is no list of values`)
    return
  }
  for (const value of values as readonly unknown[]) {
    if (typeof value !== 'string' && typeof value !== 'number') problems.push(`${path}: not a text or number`)
  }
}

interface NamesRule {
  readonly path: string
  readonly given: readonly unknown[]
  readonly names: readonly string[]
}

function checkNames(problems: string[], { path, given, names }: NamesRule): void {
  if (given.length === 0) problems.push(`${path}: is empty`)
  for (const name of given) {
    if (typeof name === 'string' && names.includes(name)) continue
    problems.push(`${path}: "${String(name)}" is not one of targets (${names.join(', ')})`)
  }
}

interface CountRule {
  readonly path: string
  readonly value: unknown
  readonly min: number
  readonly max?: number
}

function checkCount(problems: string[], { path, value, min, max = Number.MAX_SAFE_INTEGER }: CountRule): void {
  if (value === undefined || (Number.isInteger(value) && Number(value) >= min && Number(value) <= max)) return
  const limit = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  problems.push(`${path}: is not an integer ${limit}`)
}

/** Whether a value is an object with named members. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
