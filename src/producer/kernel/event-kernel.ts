/**
 * The producer's inner loop in WebAssembly, as its caller sees it: reads the declared fields of many events at once.
 *
 * `kernel/event-kernel.ts` (AssemblyScript) is the source, `npm run build:kernel` compiles it, and the binary beside
 * this file is what runs. Each kernel has its own fields and its own memory, fixed at about 2.3 MiB, of which only what
 * is touched is resident. Texts that repeat are made a string once: the kernel numbers them, up to 16,384, and forgets
 * all of them when there is no place for another.
 *
 * Where WebAssembly is switched off there is no kernel, and every event is parsed.
 */

import { readFileSync } from 'node:fs'

import { invariant, type Random } from '../../core/index.ts'
import type { FieldPath } from '../field-reader.ts'
import type { EventChunk } from '../event-chunk.ts'

/** The part of WebAssembly's API that is used: it belongs to the platform, but not to the types that we build with. */
interface WasmApi {
  readonly Module: new (binary: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: KernelExports }
}

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readEvents(count: number, windowStart: number, windowBytes: number, fieldCount: number, bytesMax: number): void
  forgetTexts(seedLow: number, seedHigh: number): void
  nextText(): number
  crowded(): number
  /** Numbers that the source exports. */
  readonly [constant: string]: unknown
}

const NODE_INTS = 8
const ROOT = 1
// References that are no number of a text; see the kernel's source.
const TRUE = 1
const FALSE = 2
const ESCAPED_STRING = -2
const NUMBER = -3

/** One kernel and its memory. */
export class EventKernel {
  readonly #exports: KernelExports
  readonly #memory: Buffer
  readonly #spans: Uint32Array
  readonly #status: Uint8Array
  readonly #references: Int32Array
  readonly #texts: Uint32Array
  readonly #textsAt: number
  readonly #inputAt: number
  readonly #inputBytesMax: number
  readonly #rowsMax: number
  readonly #fieldCount: number
  readonly #recordBytesMax: number
  readonly #random: Random
  /** Strings of the texts that have a number. */
  #strings: string[] = []
  #generation = 0
  readonly #firstText: number
  /** What the last run has read. */
  #chunk: EventChunk | undefined
  #from = 0
  #to = 0

  /**
   * @param wasm - The platform's WebAssembly.
   * @param paths - The fields; whether the kernel can take them says `canTake`.
   */
  constructor(
    wasm: WasmApi,
    paths: readonly FieldPath[],
    options: { readonly recordBytesMax: number; readonly random: Random }
  ) {
    const { exports } = new wasm.Instance(moduleOf(wasm))
    this.#exports = exports
    const constant = (name: string): number => {
      const found = exports[name]
      const isGlobal = typeof found === 'object' && found !== null && 'value' in found
      invariant(isGlobal, `the kernel exports no ${name}: build it anew`)
      return Number(found.value)
    }
    const { buffer } = exports.memory
    this.#memory = Buffer.from(buffer)
    this.#fieldCount = paths.length
    this.#recordBytesMax = options.recordBytesMax
    this.#random = options.random
    const referencesMax = constant('REFERENCES_MAX')
    this.#rowsMax = Math.min(constant('ROWS_MAX'), Math.floor(referencesMax / Math.max(1, paths.length)))
    this.#spans = new Uint32Array(buffer, constant('SPANS'), this.#rowsMax * 2)
    this.#status = new Uint8Array(buffer, constant('STATUS'), this.#rowsMax)
    this.#references = new Int32Array(buffer, constant('REFERENCES'), referencesMax * 3)
    this.#textsAt = constant('TEXTS')
    this.#texts = new Uint32Array(buffer, this.#textsAt, constant('TEXTS_MAX') * 16)
    this.#inputAt = constant('INPUT')
    this.#inputBytesMax = constant('INPUT_BYTES')
    this.#firstText = constant('TEXTS_FIRST')
    const nodes = new Int32Array(buffer, constant('NODES'), constant('NODES_MAX') * NODE_INTS)
    writePaths({ paths, nodes, memory: this.#memory, namesAt: constant('NAMES') })
    this.#forgetTexts()
  }

  /**
   * Reads an event, and some behind it ahead of time.
   *
   * @returns Its row, for `textOf`, valid until the next call; -1 if it is not plain: parse it.
   */
  rowOf(chunk: EventChunk, index: number): number {
    if (chunk !== this.#chunk || index < this.#from || index >= this.#to) this.#read(chunk, index)
    const row = index - this.#from
    return this.#status[row] === 1 ? row : -1
  }

  /** The text of a field of a row; `undefined` if it is absent or no string, number or boolean. */
  textOf(row: number, field: number): string | undefined {
    const at = (row * this.#fieldCount + field) * 3
    const reference = this.#references[at] ?? 0
    if (reference >= this.#firstText) return this.#strings[reference - this.#firstText]
    return reference === 0 ? undefined : this.#unnumbered(reference, at)
  }

  /** Lets go of a chunk. */
  release(chunk: EventChunk): void {
    if (this.#chunk === chunk) this.#chunk = undefined
  }

  /** The number of a field's text, see `EventFields.textNumber`. */
  textNumberOf(row: number, field: number): number {
    return this.#references[(row * this.#fieldCount + field) * 3] ?? 0
  }

  /** Goes up when texts get other numbers; no two kernels have the same. */
  get generation(): number {
    return this.#generation
  }

  #unnumbered(reference: number, at: number): string {
    if (reference === TRUE) return 'true'
    if (reference === FALSE) return 'false'
    const bytes = this.#chunk?.bytes
    const start = this.#references[at + 1] ?? 0
    const end = this.#references[at + 2] ?? 0
    const text = bytes?.toString('utf8', start, end) ?? ''
    if (reference === NUMBER) return numberText(text)
    // A string that was found to be well formed.
    return reference === ESCAPED_STRING ? (JSON.parse(`"${text}"`) as string) : text
  }

  #read(chunk: EventChunk, from: number): void {
    if (this.#exports.crowded() !== 0) this.#forgetTexts()
    const { bytes, spans } = chunk
    const start = spans[from * 2] ?? 0
    let to = Math.min(chunk.count, from + this.#rowsMax)
    // Spans ascend; those that are beyond the window all the same are found not plain.
    while (to > from + 1 && (spans[to * 2 - 1] ?? 0) - start > this.#inputBytesMax) to = from + ((to - from) >> 1)
    const end = Math.min(Math.max(start, spans[to * 2 - 1] ?? 0), start + this.#inputBytesMax)
    const windowBytes = bytes.copy(this.#memory, this.#inputAt, start, end)
    this.#spans.set(spans.subarray(from * 2, to * 2))
    this.#exports.readEvents(to - from, start, windowBytes, this.#fieldCount, this.#recordBytesMax)
    this.#chunk = chunk
    this.#from = from
    this.#to = to
    this.#learnTexts()
  }

  /** Makes strings of the texts that have got a number. */
  #learnTexts(): void {
    const next = this.#exports.nextText() - this.#firstText
    for (let index = this.#strings.length; index < next; index += 1) {
      const text = index + this.#firstText
      const lengthAndKind = this.#texts[text * 16 + 1] ?? 0
      const start = this.#textsAt + text * 64 + 8
      const string = this.#memory.toString('utf8', start, start + (lengthAndKind & 0xff))
      this.#strings.push(lengthAndKind >= 0x100 ? numberText(string) : string)
    }
  }

  #forgetTexts(): void {
    const random = (): number => Math.floor(this.#random.next() * 4_294_967_296) | 0
    this.#exports.forgetTexts(random(), random())
    generations += 1
    this.#generation = generations
    this.#strings = []
  }
}

/** The text of a JSON number: JavaScript's shortest form, but the digits of whole numbers that no double holds. */
function numberText(source: string): string {
  const value = Number(source)
  const isExact = Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value))
  return isExact ? String(value) : source
}

/** Writes the tree of names. */
function writePaths(tree: {
  readonly paths: readonly FieldPath[]
  readonly nodes: Int32Array
  readonly memory: Buffer
  readonly namesAt: number
}): void {
  const { nodes, memory } = tree
  let nodeCount = ROOT + 1
  let nameAt = tree.namesAt
  nodes[ROOT * NODE_INTS + 2] = -1
  const childOf = (parent: number, name: string): number => {
    const bytes = Buffer.from(name)
    for (let child = nodes[parent * NODE_INTS] ?? 0; child !== 0; child = nodes[child * NODE_INTS + 1] ?? 0) {
      const start = nodes[child * NODE_INTS + 3] ?? 0
      if (memory.subarray(start, start + (nodes[child * NODE_INTS + 4] ?? 0)).equals(bytes)) return child
    }
    const child = nodeCount
    nodeCount += 1
    const siblings = nodes[parent * NODE_INTS] ?? 0
    nodes.set([0, siblings, -1, nameAt, bytes.length], child * NODE_INTS)
    nodes[parent * NODE_INTS] = child
    nameAt += bytes.copy(memory, nameAt)
    return child
  }
  for (const [field, path] of tree.paths.entries()) {
    let node = ROOT
    for (const name of path) {
      node = childOf(node, name)
      const word = node * NODE_INTS + 6 + (field >> 5)
      nodes[word] = (nodes[word] ?? 0) | (1 << (field & 31))
    }
    nodes[node * NODE_INTS + 2] = field
  }
}

const FIELDS_MAX = 64
const NODES_MAX = 126
const NAMES_BYTES = 8192

/** Whether a kernel has room for these fields. */
export function canTake(paths: readonly FieldPath[]): boolean {
  const names = paths.flat()
  const bytes = names.reduce((sum, name) => sum + Buffer.byteLength(name), 0)
  // A lone surrogate has no bytes of its own, and would be mistaken for another character.
  const areWellFormed = names.every(name => name.isWellFormed())
  return paths.length <= FIELDS_MAX && names.length <= NODES_MAX && bytes <= NAMES_BYTES && areWellFormed
}

let compiled: object | undefined
let generations = 0

function moduleOf(wasm: WasmApi): object {
  compiled ??= new wasm.Module(readFileSync(new URL('./event-kernel.wasm', import.meta.url)))
  return compiled
}

/** A kernel for these fields; `undefined` where there is no WebAssembly or no room for them. */
export function eventKernel(
  paths: readonly FieldPath[],
  options: { readonly recordBytesMax: number; readonly random: Random }
): EventKernel | undefined {
  // Absent under `--jitless`, among others.
  const { WebAssembly: wasm } = globalThis as { WebAssembly?: WasmApi }
  return wasm === undefined || !canTake(paths) ? undefined : new EventKernel(wasm, paths, options)
}
