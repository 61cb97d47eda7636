/**
 * Compiles the JSON Schemas of a producer before it starts: a wrong one is an error
 * with its file and place, and nothing starts.
 *
 * By ajv, in strict mode: unknown keywords and formats, and keywords that could never
 * apply, are errors. An event is checked up to its first broken rule; only if it
 * breaks one, and is short, it is checked for all of them. Nothing that an event holds
 * can make a check hang: patterns run on RE2, formats have a longest text, and the
 * comparison of list items (`uniqueItems`) is linear instead of quadratic.
 */

import type { Ajv, ErrorObject, Options, ValidateFunction } from 'ajv'

import type { EventCheckConfig, ProducerConfig } from '../../config/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import type { BrokenRule } from '../event-problem.ts'
import type { CompiledSchemas, SchemaCheck } from './event-checks.ts'
import { fileSchema, inlineSchema, placeIn, type SchemaBundle, SchemaError } from './schema-source.ts'
import { hasUniqueItems } from './unique-items.ts'

/** What is wrong with a schema, and where the configuration has or names it. */
export interface SchemaProblem {
  /** Path in the pipeline file, into the schema itself if it is there. */
  readonly path: readonly (string | number)[]
  /** With file and place, if the schema is in a file of its own. */
  readonly message: string
}

/** Longest text that a format is tried on, in characters; longer ones do not have it. */
const FORMAT_CHARS_MAX: Readonly<Record<string, number>> = { uri: 2048, 'uri-reference': 2048, 'uri-template': 2048 }
const FORMAT_CHARS = 256
/** Not in JSON Schema, and slow for hostile text. */
const FORMATS_LEFT_OUT: ReadonlySet<string> = new Set(['url', 'byte', 'binary', 'password'])
/** Longer events are told their first broken rule only: a list of all could be as long as the event. */
const ALL_REASONS_BYTES_MAX = 65_536
const DRAFT_07 = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/
const DRAFT_2020 = /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/

/**
 * Compiles all schemas of a producer.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every schema that is wrong, its file and place.
 */
export async function compileSchemas(config: Pick<ProducerConfig, 'route' | 'validate'>): Promise<CompiledSchemas> {
  const { schemas, problems } = await tryCompile(config)
  if (problems.length === 0) return schemas
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  const lines = problems.map(({ path, message }) => `  ${path.join('.')}: ${message}`)
  throw new PipelineError('ERR_CONFIG_INVALID', `schemas: ${count}\n${lines.join('\n')}`)
}

/** What is wrong with the schemas of a producer. Empty: nothing. */
export async function schemaProblems(
  config: Pick<ProducerConfig, 'route' | 'validate'>
): Promise<readonly SchemaProblem[]> {
  return (await tryCompile(config)).problems
}

interface Compilation {
  readonly schemas: CompiledSchemas
  readonly problems: readonly SchemaProblem[]
}

async function tryCompile({ route, validate }: Pick<ProducerConfig, 'route' | 'validate'>): Promise<Compilation> {
  const problems: SchemaProblem[] = []
  const topics = new Map<string, SchemaCheck>()
  const rules = new Map<number, SchemaCheck>()
  const compile = async (check: EventCheckConfig, path: (string | number)[]): Promise<SchemaCheck | undefined> => {
    if (check.schema === undefined && check.schemaFile === undefined) return undefined
    try {
      const bundle = await (check.schemaFile === undefined
        ? inlineSchema(check.schema ?? {})
        : fileSchema(check.schemaFile))
      return await compileBundle(bundle, validate.reasonsMax)
    } catch (error) {
      problems.push(await problemOf(error, check, path))
      return undefined
    }
  }
  for (const [topic, check] of Object.entries(validate.topics)) {
    const compiled = await compile(check, ['producer', 'validate', 'topics', topic])
    if (compiled !== undefined) topics.set(topic, compiled)
  }
  for (const [index, { validate: check }] of 'rules' in route ? route.rules.entries() : []) {
    const compiled = check && (await compile(check, ['producer', 'route', 'rules', index, 'validate']))
    if (compiled !== undefined) rules.set(index, compiled)
  }
  return { schemas: { topics, rules }, problems }
}

async function problemOf(error: unknown, check: EventCheckConfig, path: (string | number)[]): Promise<SchemaProblem> {
  const isKnown = error instanceof SchemaError
  const document = isKnown ? error.document : undefined
  const pointer = isKnown ? error.pointer : []
  if (check.schemaFile === undefined) return { path: [...path, 'schema', ...pointer], message: messageOf(error) }
  const file = document?.file ?? check.schemaFile
  const place = document?.text === undefined ? '' : `:${await placeIn(document.text, pointer)}`
  const gap = messageOf(error).startsWith(':') ? '' : ' '
  return { path: [...path, 'schemaFile'], message: `${file}${place}${gap}${messageOf(error)}` }
}

async function compileBundle(bundle: SchemaBundle, reasonsMax: number): Promise<SchemaCheck> {
  const first = await validatorOf(bundle, { allErrors: false })
  const all = await validatorOf(bundle, { allErrors: true })
  return (event, bytes) => {
    try {
      if (first(event)) return undefined
      const isShort = bytes <= ALL_REASONS_BYTES_MAX
      if (isShort) all(event)
      return brokenRules((isShort ? all : first).errors ?? [], bundle.names).slice(0, reasonsMax)
    } catch {
      // Only a schema that refers to itself without going deeper exhausts the stack.
      return [{ path: '', keyword: 'depthMax' }]
    }
  }
}

async function validatorOf(bundle: SchemaBundle, options: Options): Promise<ValidateFunction> {
  const { root, others } = bundle
  const ajv = await newAjv(root.schema['$schema'], options, bundle)
  for (const document of [root, ...others]) {
    if (ajv.validateSchema(document.schema) === true) continue
    const [wrong] = ajv.errors ?? []
    const pointer = (wrong?.instancePath ?? '').split('/').slice(1).map(unescaped)
    throw new SchemaError(`is no valid schema here: ${wrong?.message ?? 'unknown'}`, document, pointer)
  }
  try {
    for (const { schema, uri } of [...others, root]) ajv.addSchema(schema, uri)
    const validate = ajv.getSchema(root.uri)
    if (validate === undefined) throw new Error('it was not compiled')
    return validate
  } catch (error) {
    if (error instanceof SchemaError) throw error
    throw located(messageOf(error), bundle)
  }
}

async function newAjv(draft: unknown, options: Options, bundle: SchemaBundle): Promise<Ajv> {
  // Loaded with the first schema, as the compiler is: most producers have none.
  const { safePattern } = await import('./safe-pattern.ts')
  const settings: Options = {
    ...options,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    // What objects inherit is no member of an event, whatever a schema names.
    ownProperties: true,
    messages: options.allErrors === false,
    logger: false,
    code: { regExp: Object.assign(safePattern, { code: 'safePattern' }) }
  }
  const isDraft07 = typeof draft === 'string' && DRAFT_07.test(draft)
  if (!isDraft07 && draft !== undefined && !(typeof draft === 'string' && DRAFT_2020.test(draft))) {
    const message = 'is of no draft that is known: there are 2020-12 and 07'
    throw new SchemaError(message, bundle.root, ['$schema'])
  }
  const ajv: Ajv = isDraft07
    ? new (await import('ajv')).Ajv(settings)
    : new (await import('ajv/dist/2020.js')).Ajv2020(settings)
  const { fullFormats } = await import('ajv-formats/dist/formats.js')
  for (const [name, format] of Object.entries(fullFormats)) {
    if (!FORMATS_LEFT_OUT.has(name)) ajv.addFormat(name, bounded(name, format))
  }
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    errors: false,
    validate: (isWanted: boolean, items: readonly unknown[]) => !isWanted || hasUniqueItems(items)
  })
  return ajv
}

type Format = Parameters<Ajv['addFormat']>[1]

/** A format that is not tried on text longer than it needs. */
function bounded(name: string, format: Format): Format {
  const charsMax = FORMAT_CHARS_MAX[name] ?? FORMAT_CHARS
  const within = (test: (text: string) => boolean): Format => ({
    type: 'string',
    validate: (text: string) => text.length <= charsMax && test(text)
  })
  if (format instanceof RegExp) return within(text => format.test(text))
  if (typeof format === 'function') return within(text => format(text) === true)
  if (typeof format !== 'object' || format.type === 'number') return format
  const { validate } = format
  if (validate instanceof RegExp) return within(text => validate.test(text))
  // Formats of text with a function: date and time.
  return typeof validate === 'function'
    ? within(text => (validate as (value: string) => unknown)(text) === true)
    : format
}

/** The compiler names some places, some keywords and some patterns: the part of the schema that is meant. */
function located(message: string, bundle: SchemaBundle): SchemaError {
  const clean = message.replace(/^strict mode: /, '').replace(/ ?\((strictTypes|strictTuples)\)$/, '')
  const [, uri = '', fragment] = / at (?:path )?"([^"#]*)#([^"]*)"/.exec(message) ?? []
  const documents = [bundle.root, ...bundle.others]
  const document = documents.find(each => each.uri === uri) ?? bundle.root
  const reason = clean.replace(/ (?:ignored )?(?:in schema )?at (?:path )?"[^"]*"/, '')
  if (fragment !== undefined) {
    return new SchemaError(
      reason,
      document,
      fragment
        .split('/')
        .slice(1)
        .map(step => unescaped(decodeURIComponent(step)))
    )
  }
  const [, quoted] = /(?:keyword: |the pattern )("(?:[^"\\]|\\.)*")/.exec(message) ?? []
  const wanted: unknown = quoted === undefined ? undefined : JSON.parse(quoted)
  for (const each of documents) {
    const pointer = typeof wanted === 'string' ? pathTo(each.schema, wanted) : undefined
    if (pointer !== undefined) return new SchemaError(reason, each, pointer)
  }
  return new SchemaError(reason, bundle.root)
}

/** Where a keyword or a pattern first stands. */
function pathTo(
  node: unknown,
  wanted: string,
  path: readonly (string | number)[] = []
): (string | number)[] | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  for (const [name, value] of Object.entries(node)) {
    const at = [...path, Array.isArray(node) ? Number(name) : name]
    if (name === wanted || (value === wanted && name === 'pattern')) return at
    const inner = pathTo(value, wanted, at)
    if (inner !== undefined) return inner
  }
  return undefined
}

/** What ajv found, without contents: names of properties count as contents unless the schema knows them. */
function brokenRules(errors: readonly ErrorObject[], names: ReadonlySet<string>): BrokenRule[] {
  const rules = new Map<string, BrokenRule>()
  for (const { instancePath, keyword, params } of errors) {
    const missing: unknown = keyword === 'required' ? params['missingProperty'] : undefined
    const steps = instancePath.split('/').slice(1).map(unescaped)
    if (typeof missing === 'string') steps.push(missing)
    const path = steps.map(step => `/${names.has(step) || /^\d{1,7}$/.test(step) ? escaped(step) : '*'}`).join('')
    rules.set(`${path} ${keyword}`, { path, keyword })
  }
  return [...rules.values()]
}

function unescaped(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~')
}

function escaped(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1')
}
