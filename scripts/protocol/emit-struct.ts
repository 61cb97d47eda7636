/** Writes the TypeScript of one struct: its interfaces, its reader, its writer. */

import { type Field, type FieldType, intersect, isEmpty, type Message, type Range, type Struct } from './definition.ts'

/** What the emitters of one message share. */
export interface Context {
  readonly message: Message
  /** Structs of which a constant with all defaults is needed. */
  readonly defaults: Set<Struct>
  /** Structs of which a test for all defaults is needed. */
  readonly defaultTests: Set<Struct>
}

const RESERVED = new Set(['default', 'r', 'w', 'v', 'f', 'm', 'n', 'tag', 'end', 'length', 'list'])

/** Fields that occur in at least one version that the message has. */
export function liveFields(struct: Struct): Field[] {
  return struct.fields.filter(field => !isEmpty(intersect(field.versions, struct.range)))
}

function local(field: Field): string {
  return RESERVED.has(field.name) ? `${field.name}_` : field.name
}

/** The test for `range`, given that the version is known to be in `within`: `true`, `false` or an expression. */
function condition(range: Range, within: Range): string {
  const both = intersect(range, within)
  if (isEmpty(both)) return 'false'
  const tests: string[] = []
  if (both.low === both.high && within.low < both.low && within.high > both.high) return `v === ${both.low}`
  if (both.low > within.low) tests.push(`v >= ${both.low}`)
  if (both.high < within.high) tests.push(`v <= ${both.high}`)
  return tests.length === 0 ? 'true' : tests.join(' && ')
}

function negate(test: string): string {
  return test.includes('&&')
    ? `!(${test})`
    : test.replace(/^v (>=|<=|===) (\d+)$/, (_, op: string, n: string) => {
        if (op === '>=') return `v < ${n}`
        return op === '<=' ? `v > ${n}` : `v !== ${n}`
      })
}

function flexibleFlag(context: Context, struct: Struct): string {
  const test = condition(context.message.flexible, struct.range)
  return test === 'true' || test === 'false' ? test : 'f'
}

function isNullable(field: Field, struct: Struct): boolean {
  return !isEmpty(intersect(field.nullable, struct.range)) || field.defaultValue === null
}

function tsType(type: FieldType, isInput: boolean): string {
  if (type.kind === 'struct') return type.struct.name + (isInput ? 'Input' : '')
  if (type.kind === 'array') return `${isInput ? 'readonly ' : ''}${tsType(type.element, isInput)}[]`
  if (type.name === 'records' && isInput) return 'Uint8Array | readonly Uint8Array[]'
  const names: Record<string, string> = { bool: 'boolean', int64: 'bigint', uuid: 'string', string: 'string' }
  if (type.name === 'bytes' || type.name === 'records') return isInput ? 'Uint8Array' : 'Buffer'
  return names[type.name] ?? 'number'
}

/** The default of a field as an expression, for reading. */
function defaultOf(context: Context, field: Field): string {
  if (field.defaultValue === null) return 'null'
  if (field.type.kind === 'array') return '[]'
  if (field.type.kind === 'struct') {
    context.defaults.add(field.type.struct)
    return `default${field.type.struct.name}`
  }
  return primitiveDefault(field.type.name, field.defaultValue)
}

function primitiveDefault(type: string, text: string): string {
  if (type === 'string') return `'${text}'`
  if (type === 'bool') return text === 'true' ? 'true' : 'false'
  if (type === 'uuid') return 'ZERO_UUID'
  if (type === 'bytes' || type === 'records') return 'NO_BYTES'
  return type === 'int64' ? `${BigInt(text === '' ? 0 : text)}n` : String(Number(text === '' ? 0 : text))
}

/** Interfaces for reading and for writing. */
export function emitInterfaces(struct: Struct): string[] {
  const about = (text: string): string => text.replace(/\s+/g, ' ').replaceAll('*/', '')
  const read = liveFields(struct).flatMap(field => {
    const type = tsType(field.type, false) + (isNullable(field, struct) ? ' | null' : '')
    return [`  /** ${about(field.about)} */`, `  readonly ${field.name}: ${type}`]
  })
  const write = liveFields(struct).map(field => {
    const type = tsType(field.type, true) + (isNullable(field, struct) ? ' | null' : '')
    return `  readonly ${field.name}?: ${type} | undefined`
  })
  return [
    `export interface ${struct.name} {`,
    ...read,
    '}',
    '',
    `export interface ${struct.name}Input {`,
    ...write,
    '}',
    ''
  ]
}

/** Fewest bytes that a value of a type takes in any version of `range`. */
function bytesMin(context: Context, type: FieldType, range: Range): number {
  let least = Number.POSITIVE_INFINITY
  for (let version = range.low; version <= range.high; version++) {
    least = Math.min(least, bytesAt(context, { type, version, isNullable: false }))
  }
  return least
}

function bytesAt(context: Context, of: { type: FieldType; version: number; isNullable: boolean }): number {
  const isFlexible = version(of.version, context.message.flexible)
  if (of.type.kind === 'array') return isFlexible ? 1 : 4
  if (of.type.kind === 'primitive') {
    const sizes: Record<string, number> = {
      bool: 1,
      int8: 1,
      int16: 2,
      uint16: 2,
      int32: 4,
      uint32: 4,
      int64: 8,
      float64: 8,
      uuid: 16
    }
    return sizes[of.type.name] ?? (isFlexible ? 1 : of.type.name === 'string' ? 2 : 4)
  }
  if (of.isNullable) return 1
  let sum = isFlexible ? 1 : 0
  for (const field of of.type.struct.fields) {
    if (!version(of.version, field.versions) || field.tag !== undefined) continue
    sum += bytesAt(context, { type: field.type, version: of.version, isNullable: version(of.version, field.nullable) })
  }
  return sum
}

function version(at: number, range: Range): boolean {
  return at >= range.low && at <= range.high
}

function readPrimitive(type: string, flag: string, canBeNull: boolean): string {
  if (type === 'string') return canBeNull ? `r.nullableString(${flag})` : `r.string(${flag})`
  if (type === 'bytes' || type === 'records') return canBeNull ? `r.nullableBytes(${flag})` : `r.bytes(${flag})`
  return `r.${type}()`
}

function readElement(type: FieldType, flag: string): string {
  if (type.kind === 'array') throw new Error('Kafka has no arrays of arrays')
  return type.kind === 'struct' ? `read${type.struct.name}(r, v)` : readPrimitive(type.name, flag, false)
}

/** The test for the mark of a null struct: an int8 of -1, but in a tagged field an unsigned varint of 0. */
function isNullStruct(field: Field): string {
  return field.tag === undefined ? 'r.int8() < 0' : 'r.uvarint() === 0'
}

/** Writes the mark in front of a struct that may be null. */
function structMark(field: Field, isNull: boolean): string {
  if (field.tag === undefined) return isNull ? 'w.int8(-1)' : 'w.int8(1)'
  return isNull ? 'w.uvarint(0)' : 'w.uvarint(1)'
}

/** An expression that reads a field that is not an array. */
function readScalar(field: Field, flag: string, nullTest: string): string {
  const plain = readElement(field.type, flag)
  if (nullTest === 'false') return plain
  const orNull =
    field.type.kind === 'struct'
      ? `${isNullStruct(field)} ? null : ${plain}`
      : readPrimitive(primitiveName(field), flag, true)
  return nullTest === 'true' ? orNull : `${nullTest} ? (${orNull}) : ${plain}`
}

function primitiveName(field: Field): string {
  if (field.type.kind !== 'primitive') throw new Error(`${field.name} is not primitive`)
  return field.type.name
}

interface Place {
  readonly struct: Struct
  readonly flag: string
  /** Versions known to hold where the code stands. */
  readonly within: Range
}

/** Statements that fill the variable of an array field. */
function readArray(context: Context, field: Field, place: Place): string[] {
  if (field.type.kind !== 'array') throw new Error(`${field.name} is not an array`)
  const least = bytesMin(context, field.type.element, place.within)
  const nullTest = condition(field.nullable, place.within)
  const args = `(${place.flag}, ${least})`
  const name = local(field)
  const push = readElement(field.type.element, place.flag)
  const canBeNull = isNullable(field, place.struct)
  if (!canBeNull) return [`for (let n = r.arrayLength${args}; n > 0; n--) ${name}.push(${push})`]
  const length =
    nullTest === 'true'
      ? `r.nullableArrayLength${args}`
      : nullTest === 'false'
        ? `r.arrayLength${args}`
        : `${nullTest} ? r.nullableArrayLength${args} : r.arrayLength${args}`
  return [
    '{',
    `  const length = ${length}`,
    `  const list: ${tsType(field.type, false)} = []`,
    `  for (let n = length; n > 0; n--) list.push(${push})`,
    `  ${name} = length < 0 ? null : list`,
    '}'
  ]
}

function readPositional(context: Context, field: Field, struct: Struct): string[] {
  const present = condition(field.versions, struct.range)
  const within = intersect(field.versions, struct.range)
  const flag = flexibleFlag(context, struct)
  if (field.type.kind !== 'array') {
    const value = readScalar(field, flag, condition(field.nullable, within))
    if (present === 'true') return [`const ${local(field)} = ${value}`]
    const whenPresent = value.includes('?') ? `(${value})` : value
    return [`const ${local(field)} = ${present} ? ${whenPresent} : ${defaultOf(context, field)}`]
  }
  const type = tsType(field.type, false)
  const canBeNull = isNullable(field, struct)
  const declare = canBeNull
    ? `let ${local(field)}: ${type} | null = ${defaultOf(context, field)}`
    : `const ${local(field)}: ${type} = []`
  const body = readArray(context, field, { struct, flag, within })
  if (present === 'true') return [declare, ...body]
  return [declare, `if (${present}) ${body[0] ?? ''}`, ...body.slice(1)]
}

function readTagged(context: Context, struct: Struct, tagged: readonly Field[]): string[] {
  const flag = flexibleFlag(context, struct)
  if (flag === 'false') return []
  if (tagged.length === 0) return [flag === 'f' ? 'if (f) r.skipTaggedFields()' : 'r.skipTaggedFields()']
  const lines: string[] = []
  for (const field of tagged) {
    const type = tsType(field.type, false) + (isNullable(field, struct) ? ' | null' : '')
    const keyword = field.type.kind === 'array' && !isNullable(field, struct) ? 'const' : 'let'
    lines.push(`${keyword} ${local(field)}: ${type} = ${defaultOf(context, field)}`)
  }
  const isAlways = flag === 'true'
  if (!isAlways) lines.push('if (f) {')
  lines.push('for (let n = r.uvarint(); n > 0; n--) {', 'const tag = r.uvarint()', 'const end = r.taggedFieldEnd()')
  tagged.forEach((field, index) => {
    const within = intersect(field.versions, struct.range)
    const inFlexible = intersect(context.message.flexible, struct.range)
    const test = condition(field.versions, inFlexible)
    const body =
      field.type.kind === 'array'
        ? readArray(context, field, { struct, flag: 'true', within })
        : [`${local(field)} = ${readScalar(field, 'true', condition(field.nullable, within))}`]
    const guard = `if (tag === ${field.tag}${test === 'true' ? '' : ` && ${test}`}) {`
    lines.push(index === 0 ? guard : `} else ${guard}`, ...body)
  })
  lines.push('} else r.position = end', 'r.endTaggedField(end)', '}')
  if (!isAlways) lines.push('}')
  return lines
}

function propertyOf(field: Field): string {
  return local(field) === field.name ? field.name : `${field.name}: ${local(field)}`
}

/** The function that reads a struct. */
export function emitReader(context: Context, struct: Struct): string[] {
  const fields = liveFields(struct)
  const flag = flexibleFlag(context, struct)
  const body = [
    ...(flag === 'f' ? [`const f = ${condition(context.message.flexible, struct.range)}`] : []),
    ...fields.filter(field => field.tag === undefined).flatMap(field => readPositional(context, field, struct)),
    ...readTagged(
      context,
      struct,
      fields.filter(field => field.tag !== undefined)
    ),
    `return { ${fields.map(propertyOf).join(', ')} }`
  ]
  return wrap(`function read${struct.name}(r: ByteReader, v: number): ${struct.name} {`, body)
}

/** Puts a body into a function: drops unused flags, marks an unused version. */
function wrap(head: string, body: readonly string[]): string[] {
  const text = body.slice(1).join('\n')
  const lines = (body[0] ?? '').startsWith('const f = ') && !/\bf\b/.test(text) ? body.slice(1) : body
  const isVersionUsed = /\bv\b/.test(lines.join('\n'))
  return [isVersionUsed ? head : head.replace(' v: number', ' _v: number'), ...indent(lines), '}', '']
}

/** Indents by the braces, whatever the emitters did. */
function indent(lines: readonly string[]): string[] {
  let depth = 1
  return lines.map(line => {
    const text = line.trim()
    if (text.startsWith('}')) depth--
    const out = '  '.repeat(depth) + text
    if (text.endsWith('{')) depth++
    return out
  })
}

/** The value of a field of an input, with its default filled in. */
function inputOf(field: Field, struct: Struct): string {
  const of = `m.${field.name}`
  if (field.defaultValue === null) return `${of} ?? null`
  const value =
    field.type.kind === 'array'
      ? 'NO_ELEMENTS'
      : field.type.kind === 'struct'
        ? 'NO_FIELDS'
        : primitiveDefault(field.type.name, field.defaultValue)
  return isNullable(field, struct) ? `${of} === undefined ? ${value} : ${of}` : `${of} ?? ${value}`
}

/** A test whether the local variable of a field differs from the default. */
function differs(context: Context, field: Field, struct: Struct): string {
  const name = local(field)
  if (field.defaultValue === null) return `${name} !== null`
  const orNull = isNullable(field, struct) ? `${name} === null || ` : ''
  if (field.type.kind === 'array') return `${orNull}${name}.length !== 0`
  if (field.type.kind === 'struct') {
    context.defaultTests.add(field.type.struct)
    return `${orNull}!isDefault${field.type.struct.name}(${name})`
  }
  if (field.type.name === 'bytes' || field.type.name === 'records') return `${orNull}${name}.length !== 0`
  return `${name} !== ${primitiveDefault(field.type.name, field.defaultValue)}`
}

function writeElement(type: FieldType, name: string, flag: string): string {
  if (type.kind === 'struct') return `write${type.struct.name}(w, ${name}, v)`
  if (type.kind === 'array') throw new Error('Kafka has no arrays of arrays')
  const isSized = ['string', 'bytes', 'records'].includes(type.name)
  return `w.${type.name}(${name}${isSized ? `, ${flag}` : ''})`
}

/** Statements that write the local variable of a field. */
function writeValue(field: Field, place: Place): string[] {
  const name = local(field)
  const { flag } = place
  const nullTest = condition(field.nullable, place.within)
  const path = `'${place.struct.name}.${field.name}'`
  const present = isNullable(field, place.struct) ? `notNull(${name}, ${path})` : name
  if (field.type.kind === 'primitive') {
    if (!isNullable(field, place.struct) || nullTest === 'false') return [writeElement(field.type, present, flag)]
    const kind = field.type.name[0]?.toUpperCase() + field.type.name.slice(1)
    const orNull = `w.nullable${kind}(${name}, ${flag})`
    return nullTest === 'true'
      ? [orNull]
      : [`if (${nullTest}) ${orNull}`, `else ${writeElement(field.type, present, flag)}`]
  }
  const element = field.type.kind === 'array' ? field.type.element : field.type
  const whenNull = field.type.kind === 'array' ? `w.nullArray(${flag})` : structMark(field, true)
  const write = (value: string): string[] =>
    field.type.kind === 'array'
      ? [`w.arrayLength(${value}.length, ${flag})`, `for (const n of ${value}) ${writeElement(element, 'n', flag)}`]
      : [
          ...(nullTest === 'false'
            ? []
            : [nullTest === 'true' ? structMark(field, false) : `if (${nullTest}) ${structMark(field, false)}`]),
          writeElement(element, value, flag)
        ]
  if (!isNullable(field, place.struct)) return write(name)
  if (nullTest === 'false') return [`const list = ${present}`, ...write('list')]
  if (nullTest === 'true')
    return [`if (${name} === null) ${whenNull}`, 'else {', ...write(name).map(line => `  ${line}`), '}']
  return [
    `if (${name} === null && ${nullTest}) ${whenNull}`,
    'else {',
    `  const list = ${present}`,
    ...write('list').map(line => `  ${line}`),
    '}'
  ]
}

function writePositional(context: Context, field: Field, struct: Struct): string[] {
  const present = condition(field.versions, struct.range)
  const within = intersect(field.versions, struct.range)
  const flag = flexibleFlag(context, struct)
  const declare = `const ${local(field)} = ${inputOf(field, struct)}`
  const body = writeValue(field, { struct, flag, within })
  if (present === 'true')
    return body.some(line => line.startsWith('const list'))
      ? [declare, '{', ...body.map(line => `  ${line}`), '}']
      : [declare, ...body]
  const lines = [declare, `if (${present}) {`, ...body.map(line => `  ${line}`), '}']
  if (!field.isIgnorable) {
    lines.push(`else if (${differs(context, field, struct)}) throw unsupportedField('${struct.name}.${field.name}', v)`)
  }
  return lines
}

function writeTagged(context: Context, struct: Struct, tagged: readonly Field[]): string[] {
  const flag = flexibleFlag(context, struct)
  const lines: string[] = []
  const counts: string[] = []
  const bodies: string[] = []
  for (const field of tagged) {
    const name = local(field)
    const has = `has${field.name[0]?.toUpperCase()}${field.name.slice(1)}`
    const test = condition(field.versions, struct.range)
    const other = differs(context, field, struct)
    const guarded = test === 'true' ? other : `${test} && ${other.includes('||') ? `(${other})` : other}`
    lines.push(`const ${name} = ${inputOf(field, struct)}`)
    if (flag !== 'false') lines.push(`const ${has} = ${guarded}`)
    if (!field.isIgnorable && test !== 'true') {
      lines.push(`if (${negate(test)} && (${other})) throw unsupportedField('${struct.name}.${field.name}', v)`)
    }
    counts.push(`(${has} ? 1 : 0)`)
    const within = intersect(field.versions, struct.range)
    bodies.push(
      `if (${has}) {`,
      `  const tag = w.beginTaggedField(${field.tag})`,
      ...writeValue(field, { struct, flag: 'true', within }).map(line => `  ${line}`),
      '  w.endTaggedField(tag)',
      '}'
    )
  }
  if (flag === 'false') return lines
  const write = counts.length === 0 ? ['w.uvarint(0)'] : [`w.uvarint(${counts.join(' + ')})`, ...bodies]
  if (flag === 'true') return [...lines, ...write]
  return [
    ...lines,
    ...(write.length === 1 ? [`if (f) ${write[0] ?? ''}`] : ['if (f) {', ...write.map(line => `  ${line}`), '}'])
  ]
}

/** The function that writes a struct. */
export function emitWriter(context: Context, struct: Struct): string[] {
  const fields = liveFields(struct)
  const flag = flexibleFlag(context, struct)
  // Tagged fields go by ascending tag, whatever their order in the definition.
  const tagged = fields.filter(field => field.tag !== undefined).toSorted((a, b) => (a.tag ?? 0) - (b.tag ?? 0))
  const body = [
    ...(flag === 'f' ? [`const f = ${condition(context.message.flexible, struct.range)}`] : []),
    ...fields.filter(field => field.tag === undefined).flatMap(field => writePositional(context, field, struct)),
    ...writeTagged(context, struct, tagged)
  ]
  return wrap(`function write${struct.name}(w: ByteWriter, m: ${struct.name}Input, v: number): void {`, body)
}

/** The constant with all defaults of a struct. */
export function emitDefault(context: Context, struct: Struct): string[] {
  const fields = liveFields(struct).map(field => `${field.name}: ${defaultOf(context, field)}`)
  return [`const default${struct.name}: ${struct.name} = { ${fields.join(', ')} }`, '']
}

/** The test whether an input has nothing but defaults. */
export function emitDefaultTest(context: Context, struct: Struct): string[] {
  const lines = liveFields(struct).flatMap(field => [
    `const ${local(field)} = ${inputOf(field, struct)}`,
    `if (${differs(context, field, struct)}) return false`
  ])
  return wrap(`function isDefault${struct.name}(m: ${struct.name}Input): boolean {`, [...lines, 'return true'])
}
