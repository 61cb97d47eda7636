/**
 * What events of a topic, or of a rule, must be: size, required fields, JSON Schema.
 *
 * The cheap checks come first. A rule's own check replaces that of the topic. What
 * is told of an invalid event are places and keywords, never contents.
 */

import type { EventCheckConfig, ProducerConfig } from '../../config/index.ts'
import type { FieldSet, OpenEvent } from '../event-fields.ts'
import { spanEnd, spanStart } from '../event-chunk.ts'
import type { BrokenRule, EventProblem } from '../event-problem.ts'
import { fieldPath, type ParsedEvent } from '../field-reader.ts'
import { isDeeperThan } from './event-depth.ts'

/** A compiled schema: the rules that an event of so many bytes breaks, or `undefined` if it breaks none. */
export type SchemaCheck = (event: ParsedEvent, bytes: number) => readonly BrokenRule[] | undefined

/** Compiled schemas by where the configuration has them. */
export interface CompiledSchemas {
  readonly topics: ReadonlyMap<string, SchemaCheck>
  /** By the number of the rule, from 0. */
  readonly rules: ReadonlyMap<number, SchemaCheck>
}

const NO_SCHEMAS: CompiledSchemas = { topics: new Map(), rules: new Map() }

interface Check {
  readonly recordBytesMax: number
  readonly required: readonly { readonly name: string; readonly path: string; field: number }[]
  readonly schema: SchemaCheck | undefined
  readonly errorTopic: string | undefined
}

/** Checks events. */
export class EventChecks {
  readonly #topics = new Map<string, Check>()
  readonly #rules = new Map<number, Check>()
  readonly #depthMax: number

  /** @param schemas - Compiled before: see `compileSchemas`. Default: none. */
  constructor(config: Pick<ProducerConfig, 'route' | 'validate'>, schemas: CompiledSchemas = NO_SCHEMAS) {
    const { route, validate } = config
    this.#depthMax = validate.depthMax
    for (const [topic, check] of Object.entries(validate.topics)) {
      this.#topics.set(topic, checkOf(check, schemas.topics.get(topic), validate.errorTopic))
    }
    for (const [index, rule] of 'rules' in route ? route.rules.entries() : []) {
      if (rule.validate === undefined) continue
      this.#rules.set(index, checkOf(rule.validate, schemas.rules.get(index), validate.errorTopic))
    }
  }

  /** Whether there is nothing to check. */
  get isEmpty(): boolean {
    return this.#topics.size === 0 && this.#rules.size === 0
  }

  /** Registers what will be read. */
  bind(fields: FieldSet): void {
    for (const check of [...this.#topics.values(), ...this.#rules.values()]) {
      for (const each of check.required) each.field = fields.add(each.name)
      if (check.schema !== undefined) fields.expectParsed()
    }
  }

  /** What is wrong with an event that a rule (-1 = none) sends to a topic. */
  check(event: OpenEvent, rule: number, topic: string): EventProblem | undefined {
    const check = this.#rules.get(rule) ?? this.#topics.get(topic)
    if (check === undefined) return undefined
    const { chunk, index } = event
    const bytes = spanEnd(chunk, index) - spanStart(chunk, index)
    if (bytes > check.recordBytesMax) {
      const reason = `the event has ${bytes} bytes, allowed for ${topic} are ${check.recordBytesMax}`
      return { errorClass: 'oversized', reason, errorTopic: check.errorTopic }
    }
    const broken = this.#brokenRules(event, check, bytes)
    return broken && { errorClass: 'invalid', reason: reasonOf(broken, topic), broken, errorTopic: check.errorTopic }
  }

  #brokenRules(event: OpenEvent, check: Check, bytes: number): readonly BrokenRule[] | undefined {
    let missing: BrokenRule[] | undefined
    for (const { field, path, name } of check.required) {
      if (event.text(field) !== undefined || isThere(event.parsed(), name)) continue
      missing ??= []
      missing.push({ path, keyword: 'required' })
    }
    if (missing !== undefined || check.schema === undefined) return missing
    const value = event.parsed()
    if (isDeeperThan(value, this.#depthMax)) return [{ path: '', keyword: 'depthMax' }]
    return check.schema(value, bytes)
  }
}

function checkOf(config: EventCheckConfig, schema: SchemaCheck | undefined, errorTopic: string | undefined): Check {
  return {
    recordBytesMax: config.recordBytesMax ?? Number.POSITIVE_INFINITY,
    required: config.required.map(name => ({ name, path: pointerOf(fieldPath(name)), field: -1 })),
    schema,
    errorTopic: config.errorTopic ?? errorTopic
  }
}

/** A JSON pointer. Source: RFC 6901. */
function pointerOf(path: readonly string[]): string {
  return path.map(name => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** Objects and lists have no text, but they are there. */
function isThere(event: ParsedEvent, name: string): boolean {
  let value: unknown = event
  for (const step of fieldPath(name)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return false
    // Checked above: an object with that own property.
    value = (value as Record<string, unknown>)[step]
  }
  return value !== null
}

function reasonOf(broken: readonly BrokenRule[], topic: string): string {
  const list = broken.map(({ path, keyword }) => `${path === '' ? 'the event' : path} ${keyword}`).join(', ')
  return `not valid for ${topic}: ${list}`
}
