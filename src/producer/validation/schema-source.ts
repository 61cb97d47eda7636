/**
 * JSON Schemas as text: read from a file or taken from the configuration, with the
 * place of every part, and with the files they refer to.
 *
 * A reference is followed only if it ends in the folder of the first file or below
 * it, links resolved. Nothing is ever fetched. With an `$id` references are relative
 * to it, as the specification says, and its last folder stands for that of the file.
 * Limits: 1 MiB a file, 100 files, 64 levels.
 */

import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { messageOf } from '../../core/index.ts'
import { isDeeperThan } from './event-depth.ts'

/** A schema and where it is from. */
export interface SchemaDocument {
  /** What it is called within the compiler; references resolve against it. */
  readonly uri: string
  readonly schema: Readonly<Record<string, unknown>>
  /** Absent: it is in the configuration. */
  readonly file?: string
  readonly text?: string
}

/** What is wrong with a schema. */
export class SchemaError extends Error {
  readonly document: SchemaDocument | undefined
  /** Where in the schema. */
  readonly pointer: readonly (string | number)[]

  constructor(message: string, document?: SchemaDocument, pointer: readonly (string | number)[] = []) {
    super(message)
    this.document = document
    this.pointer = pointer
  }
}

const FILE_BYTES_MAX = 1_048_576
const FILES_MAX = 100
/** Levels of a schema. */
const DEPTH_MAX = 64
const INLINE_URI = 'comporta:///schema'
/** The specification's own schemas, which are part of the compiler. */
const META = /^https?:\/\/json-schema\.org\//

/** Keywords whose value is a map of schemas, and those whose value is data. */
const MAPS: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies'
])
const DATA: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples'])

interface Reference {
  readonly ref: string
  readonly base: string
  readonly pointer: readonly (string | number)[]
}

interface Walk {
  readonly references: Reference[]
  readonly ids: string[]
  readonly names: Set<string>
}

/** A schema with all it refers to. */
export interface SchemaBundle {
  readonly root: SchemaDocument
  readonly others: readonly SchemaDocument[]
  /** Names of properties that the schemas know. */
  readonly names: ReadonlySet<string>
}

/** A schema of the configuration: it refers to parts of itself only. */
export async function inlineSchema(schema: Readonly<Record<string, unknown>>): Promise<SchemaBundle> {
  return await bundle({ uri: INLINE_URI, schema }, undefined)
}

/** A schema of a file, with the files that it refers to. */
export async function fileSchema(file: string): Promise<SchemaBundle> {
  const root = await readDocument(file, pathToFileURL(file).href)
  return await bundle(root, await realpath(dirname(file)))
}

async function bundle(root: SchemaDocument, folder: string | undefined): Promise<SchemaBundle> {
  const walk: Walk = { references: [], ids: [], names: new Set() }
  const others: SchemaDocument[] = []
  const queue = [root]
  const rootBase = walkDocument(root, walk)
  const known = new Set([root.uri])
  for (let document = queue.shift(); document !== undefined; document = queue.shift()) {
    const found: Walk = document === root ? walk : { references: [], ids: walk.ids, names: walk.names }
    if (document !== root) walkDocument(document, found)
    for (const reference of found.references) {
      const uri = targetOf(reference, document)
      if (known.has(uri) || walk.ids.includes(uri) || META.test(uri)) continue
      if (known.size > FILES_MAX) throw new SchemaError(`refers to more than ${FILES_MAX} files`, document)
      known.add(uri)
      const other = await follow({ uri, rootBase, folder, reference, document })
      others.push(other)
      queue.push(other)
    }
  }
  return { root, others, names: walk.names }
}

/** Where a reference leads, without its fragment. */
function targetOf({ ref, base, pointer }: Reference, document: SchemaDocument): string {
  try {
    const url = new URL(ref, base)
    url.hash = ''
    return url.href
  } catch {
    throw new SchemaError(`${JSON.stringify(ref)} cannot be resolved against ${base}`, document, pointer)
  }
}

interface Following {
  readonly uri: string
  readonly rootBase: string
  readonly folder: string | undefined
  readonly reference: Reference
  readonly document: SchemaDocument
}

async function follow({ uri, rootBase, folder, reference, document }: Following): Promise<SchemaDocument> {
  const refuse = (reason: string): SchemaError =>
    new SchemaError(`refers to ${JSON.stringify(reference.ref)}: ${reason}`, document, reference.pointer)
  if (folder === undefined) throw refuse('a schema in the configuration refers to parts of itself only; use schemaFile')
  const base = new URL('.', rootBase).href
  if (!uri.startsWith(base)) throw refuse('only files in the folder of the schema are read, and nothing is fetched')
  const path = join(
    folder,
    fileURLToPath(new URL(uri.slice(base.length), pathToFileURL(folder + sep))).slice(folder.length)
  )
  let real: string
  try {
    real = await realpath(path)
  } catch {
    throw refuse(`there is no file ${path}`)
  }
  const inside = relative(folder, real)
  if (inside.startsWith('..')) throw refuse('the file is outside the folder of the schema')
  return await readDocument(real, uri)
}

/** Collects what a document refers to, and its names. Returns what its references are relative to. */
function walkDocument(document: SchemaDocument, walk: Walk): string {
  if (isDeeperThan(document.schema, DEPTH_MAX)) {
    throw new SchemaError(`has more than ${DEPTH_MAX} levels`, document)
  }
  const visit = (node: unknown, base: string, pointer: readonly (string | number)[]): string => {
    if (Array.isArray(node)) {
      for (const [index, each] of node.entries()) visit(each, base, [...pointer, index])
      return base
    }
    if (typeof node !== 'object' || node === null) return base
    const fields = node as Record<string, unknown>
    const id = fields['$id']
    const own = typeof id === 'string' ? idOf(id, base, walk) : base
    for (const [keyword, value] of Object.entries(fields)) {
      const at = [...pointer, keyword]
      const isReference = keyword === '$ref' || keyword === '$dynamicRef'
      if (isReference && typeof value === 'string') walk.references.push({ ref: value, base: own, pointer: at })
      else if (MAPS.has(keyword) && typeof value === 'object' && value !== null) {
        for (const [name, inner] of Object.entries(value)) {
          if (keyword === 'properties') walk.names.add(name)
          visit(inner, own, [...at, name])
        }
      } else if (keyword === 'required' && Array.isArray(value)) {
        for (const name of value) if (typeof name === 'string') walk.names.add(name)
      } else if (!DATA.has(keyword)) visit(value, own, at)
    }
    return own
  }
  return visit(document.schema, document.uri, [])
}

function idOf(id: string, base: string, walk: Walk): string {
  try {
    const url = new URL(id, base)
    url.hash = ''
    walk.ids.push(url.href)
    return url.href
  } catch {
    return base // the compiler says what is wrong with it
  }
}

async function readDocument(file: string, uri: string): Promise<SchemaDocument> {
  const empty: SchemaDocument = { uri, schema: {}, file }
  let text: string
  try {
    const { size } = await stat(file)
    if (size > FILE_BYTES_MAX) throw new SchemaError(`is larger than ${FILE_BYTES_MAX} bytes`, empty)
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw error instanceof SchemaError ? error : new SchemaError(`cannot be read: ${messageOf(error)}`, empty)
  }
  const { LineCounter, parseDocument } = await import('yaml')
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true })
  const [wrong] = document.errors
  if (wrong !== undefined) {
    const { line, col } = lineCounter.linePos(wrong.pos[0])
    throw new SchemaError(`:${line}:${col} not valid JSON or YAML: ${wrong.message}`, empty)
  }
  let schema: unknown
  try {
    schema = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw new SchemaError(`not valid YAML: ${messageOf(error)}`, empty)
  }
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw new SchemaError('holds no object: a schema is one', empty)
  }
  return { uri, schema: schema as Record<string, unknown>, file, text }
}

/** The place of a part of a schema in its file, as `line:column`, or of its nearest parent that is there. */
export async function placeIn(text: string, pointer: readonly (string | number)[]): Promise<string> {
  const { isMap, isScalar, isSeq, LineCounter, parseDocument } = await import('yaml')
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false })
  let node: unknown = document.contents
  let offset = 0
  for (const step of pointer) {
    if (isMap(node)) {
      const pair = node.items.find(item => isScalar(item.key) && String(item.key.value) === String(step))
      if (pair === undefined || !isScalar(pair.key)) break
      offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)]
      offset = (item as { range?: readonly number[] } | undefined)?.range?.[0] ?? offset
      node = item
    } else break
  }
  const { line, col } = lineCounter.linePos(offset)
  return `${line}:${col}`
}
