/**
 * Reads Kafka's message definitions (JSON with comments) into a checked form:
 * versions as ranges, structs by name, every condition already cut to the
 * versions in which its struct can occur at all.
 */

/** Versions `low` to `high`, both included; empty if `low > high`. */
export interface Range {
  readonly low: number
  readonly high: number
}

/** Type of a field. */
export type FieldType =
  | { readonly kind: 'primitive'; readonly name: string }
  | { readonly kind: 'struct'; readonly struct: Struct }
  | { readonly kind: 'array'; readonly element: FieldType }

/** One field of a struct. */
export interface Field {
  readonly name: string
  readonly about: string
  readonly type: FieldType
  readonly versions: Range
  readonly nullable: Range
  readonly isIgnorable: boolean
  readonly tag: number | undefined
  /** Kafka's default as written in the definition, `''` if none, `null` for null. */
  readonly defaultValue: string | null
  readonly hasOldStyleLength: boolean
}

/** One struct, the message itself included. */
export interface Struct {
  readonly kafkaName: string
  /** Name of the TypeScript interface. */
  name: string
  fields: Field[]
  /** Versions in which the struct occurs. */
  range: Range
}

/** One message with its structs, the message first. */
export interface Message {
  readonly name: string
  readonly type: string
  readonly apiKey: number | undefined
  readonly versions: Range
  readonly flexible: Range
  readonly isLatestUnstable: boolean
  readonly about: string
  readonly structs: Struct[]
}

interface RawField {
  readonly name: string
  readonly type: string
  readonly versions?: string
  readonly nullableVersions?: string
  readonly taggedVersions?: string
  readonly flexibleVersions?: string
  readonly tag?: number
  readonly default?: string | number | boolean
  readonly ignorable?: boolean
  readonly about?: string
  readonly fields?: readonly RawField[]
}

interface RawMessage {
  readonly apiKey?: number
  readonly type: string
  readonly name: string
  readonly validVersions: string
  readonly flexibleVersions?: string
  readonly latestVersionUnstable?: boolean
  /** Absent where the API was removed. */
  readonly fields?: readonly RawField[]
  readonly commonStructs?: readonly RawField[]
}

const NONE: Range = { low: 1, high: 0 }
const FOREVER = 32_767
const PRIMITIVES = [
  'bool',
  'int8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'float64',
  'uuid',
  'string',
  'bytes',
  'records'
]

/** Whether a range holds no version. */
export function isEmpty(range: Range): boolean {
  return range.low > range.high
}

/** The versions in both ranges. */
export function intersect(a: Range, b: Range): Range {
  return { low: Math.max(a.low, b.low), high: Math.min(a.high, b.high) }
}

/** Parses `3`, `3+`, `3-5` or `none`. */
function parseRange(text: string | undefined): Range {
  if (text === undefined || text === 'none') return NONE
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text.trim())
  if (match === null) throw new Error(`not a version range: ${text}`)
  const low = Number(match[1])
  if (match[2] === '+') return { low, high: FOREVER }
  return { low, high: match[3] === undefined ? low : Number(match[3]) }
}

/** Removes line comments outside of strings. */
function stripComments(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*/g, (_, quoted: string | undefined) => quoted ?? '')
}

/** Text of the licence-free comment lines that explain the versions of a message. */
function leadingComment(text: string): string {
  const body = text.slice(text.indexOf('{'))
  const lines = [...body.matchAll(/^ {2}\/\/ ?(.*)$/gm)].map(match => match[1] ?? '')
  return lines.join('\n').trim()
}

/** Parses one definition. */
export function parseMessage(text: string): Message {
  const raw = JSON.parse(stripComments(text)) as RawMessage
  const versions = parseRange(raw.validVersions)
  const structs = new Map<string, Struct>()
  const declare = (name: string): Struct => {
    const struct = structs.get(name) ?? { kafkaName: name, name, fields: [], range: NONE }
    structs.set(name, struct)
    return struct
  }
  const root = declare(raw.name)
  for (const common of raw.commonStructs ?? []) declare(common.name).fields = parseFields(common.fields ?? [], declare)
  root.fields = parseFields(raw.fields ?? [], declare)
  spread(root, versions)
  const used = [...structs.values()].filter(struct => !isEmpty(struct.range))
  nameStructs(raw.name, used)
  return {
    name: raw.name,
    type: raw.type,
    apiKey: raw.apiKey,
    versions,
    flexible: intersect(parseRange(raw.flexibleVersions), versions),
    isLatestUnstable: raw.latestVersionUnstable === true,
    about: leadingComment(text),
    structs: used
  }
}

function parseFields(fields: readonly RawField[], declare: (name: string) => Struct): Field[] {
  return fields.map(raw => {
    const tagged = parseRange(raw.taggedVersions)
    const versions = raw.versions === undefined ? tagged : parseRange(raw.versions)
    if (!isEmpty(tagged) && tagged.low !== versions.low)
      throw new Error(`${raw.name} is tagged in a part of its versions only`)
    return {
      name: (raw.name[0] ?? '').toLowerCase() + raw.name.slice(1),
      about: raw.about ?? '',
      type: parseType(raw, raw.type.trim(), declare),
      versions,
      nullable: parseRange(raw.nullableVersions),
      isIgnorable: raw.ignorable === true,
      tag: raw.tag,
      defaultValue: raw.default === undefined ? '' : raw.default === 'null' ? null : String(raw.default),
      hasOldStyleLength: raw.flexibleVersions === 'none'
    }
  })
}

function parseType(raw: RawField, type: string, declare: (name: string) => Struct): FieldType {
  if (type.startsWith('[]')) return { kind: 'array', element: parseType(raw, type.slice(2), declare) }
  if (PRIMITIVES.includes(type)) return { kind: 'primitive', name: type }
  const struct = declare(type)
  if (raw.fields !== undefined) struct.fields = parseFields(raw.fields, declare)
  return { kind: 'struct', struct }
}

/** The struct inside a type, if there is one. */
export function structOf(type: FieldType): Struct | undefined {
  if (type.kind === 'array') return structOf(type.element)
  return type.kind === 'struct' ? type.struct : undefined
}

/** Tells a struct and the structs in it in which versions they occur. */
function spread(struct: Struct, range: Range): void {
  struct.range = isEmpty(struct.range)
    ? range
    : { low: Math.min(struct.range.low, range.low), high: Math.max(struct.range.high, range.high) }
  for (const field of struct.fields) {
    const inner = structOf(field.type)
    const innerRange = intersect(field.versions, struct.range)
    if (inner !== undefined && !isEmpty(innerRange)) spread(inner, innerRange)
  }
}

/**
 * Names the interfaces: the message's name, then the struct's without a prefix
 * that would say the same again (`FetchRequest` + `FetchTopic` = `FetchRequestTopic`).
 */
function nameStructs(message: string, structs: readonly Struct[]): void {
  const base = message.replace(/(Request|Response)$/, '')
  const taken = new Set([message])
  for (const struct of structs) {
    if (struct.kafkaName === message) continue
    const short = [message, base].reduce((name, prefix) => {
      const rest = name.slice(prefix.length)
      return name.startsWith(prefix) && /^[A-Z]/.test(rest) ? rest : name
    }, struct.kafkaName)
    struct.name = taken.has(message + short) ? message + struct.kafkaName : message + short
    if (taken.has(struct.name)) throw new Error(`two structs would be named ${struct.name}`)
    taken.add(struct.name)
  }
}
