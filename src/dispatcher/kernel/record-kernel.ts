/**
 * The dispatcher's inner loop in WebAssembly, as its caller sees it.
 *
 * `kernel/record-kernel.ts` (AssemblyScript) is the source, `npm run build:kernel` compiles it, and the binary beside
 * this file is what runs. One instance serves the whole process: a run is synchronous, and nothing of it stays in the
 * kernel's memory that is needed later. That memory is fixed, about 4.5 MiB, of which only what is touched is resident.
 *
 * Where WebAssembly is switched off there is no kernel, and the reference in TypeScript does everything.
 */

import { readFileSync } from 'node:fs'

import { invariant } from '../../core/index.ts'

/** Columns that a run writes, as bits. */
export const KERNEL_COLUMNS = { offsets: 1, timestamps: 2, keys: 4, headers: 8 } as const

/** What a run is told besides its bytes. */
export interface KernelInput {
  /** Buffer that holds the records, and the part of it to walk. At most `inputBytesMax` are read. */
  readonly source: Buffer
  readonly start: number
  readonly end: number
  /** Most rows to take. */
  readonly rowsMax: number
  /** Distance of the record batch from the table's base offset. */
  readonly deltaBase: number
  /** Distance of the row in front; rows ascend. */
  readonly deltaLast: number
  /** The table's base offset, below 2^53. */
  readonly offsetBase: number
  /** Base timestamp of the record batch, or the time of all its records. */
  readonly timeBaseMs: number
  readonly isTimeFixed: boolean
  /** Bytes that the payload may still grow by. */
  readonly bytesLeft: number
  /** Sum of `KERNEL_COLUMNS`. */
  readonly columns: number
  /** Whether the payload has no row yet. */
  readonly isFirst: boolean
}

/** The part of WebAssembly's API that is used: it belongs to the platform, but not to the types that we build with. */
interface WasmApi {
  readonly Module: new (binary: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: KernelExports }
}

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  isJsonValue(start: number, end: number): number
  takeRun(windowBytes: number, rowsMax: number): number
  /** Numbers that the source exports. */
  readonly [constant: string]: unknown
}

// Indexes of the kernel's STATE.
const SOURCE_DELTA = 0
const DELTA_BASE = 1
const DELTA_LAST = 2
const OFFSET_BASE = 3
const TIME_BASE = 4
const IS_TIME_FIXED = 5
const BYTES_LEFT = 6
const COLUMNS = 7
const IS_FIRST = 8
const MESSAGES_END = 9
const OFFSETS_END = 10
const TIMESTAMPS_END = 11
const KEYS_END = 12
const NEXT = 13

/** One kernel and its memory. */
export class RecordKernel {
  /** The kernel's memory; the places below are indexes into it. */
  readonly memory: Buffer
  /** Most bytes of one window. */
  readonly inputBytesMax: number
  /** Where the texts of a run begin. */
  readonly messagesStart: number
  readonly offsetsStart: number
  readonly timestampsStart: number
  readonly keysStart: number
  /** Six numbers for each row, as `RecordTable` keeps them. */
  readonly places: Int32Array
  /** Distance of each row's offset from the table's base. */
  readonly deltas: Float64Array
  /** Timestamp of each row. */
  readonly times: Float64Array
  /** Rows of the last run. */
  rowCount = 0
  /** Where the texts of the last run end. */
  messagesEnd = 0
  offsetsEnd = 0
  timestampsEnd = 0
  keysEnd = 0
  /** Index in the source of the first record that was not taken. */
  next = 0
  /** Distance of the last row that was taken. */
  deltaLast = -1
  readonly #exports: KernelExports
  readonly #state: Float64Array
  readonly #inputStart: number

  /** @param binary - The compiled kernel. */
  constructor(binary: Uint8Array, wasm: WasmApi) {
    const { exports } = new wasm.Instance(new wasm.Module(binary))
    this.#exports = exports
    const constant = (name: string): number => {
      const found = exports[name]
      const isGlobal = typeof found === 'object' && found !== null && 'value' in found
      invariant(isGlobal, `the kernel exports no ${name}: build it anew`)
      return Number(found.value)
    }
    const { buffer } = exports.memory
    const rowsMax = constant('ROWS_MAX')
    this.memory = Buffer.from(buffer)
    this.inputBytesMax = constant('INPUT_BYTES')
    this.messagesStart = constant('MESSAGES')
    this.offsetsStart = constant('OFFSETS')
    this.timestampsStart = constant('TIMESTAMPS')
    this.keysStart = constant('KEYS')
    this.places = new Int32Array(buffer, constant('PLACES'), rowsMax * 6)
    this.deltas = new Float64Array(buffer, constant('DELTAS'), rowsMax)
    this.times = new Float64Array(buffer, constant('TIMES'), rowsMax)
    this.#state = new Float64Array(buffer, constant('STATE'), NEXT + 1)
    this.#inputStart = constant('INPUT')
  }

  /** Whether `bytes[start, end)` is exactly one well-formed JSON value; `undefined` if it is too long for this. */
  isJsonValue(bytes: Uint8Array, start: number, end: number): boolean | undefined {
    if (end - start > this.inputBytesMax) return undefined
    this.memory.set(bytes.subarray(start, end), this.#inputStart)
    return this.#exports.isJsonValue(this.#inputStart, this.#inputStart + end - start) !== 0
  }

  /** Takes plain records from the front of the input; how many they were. What is behind them is not looked at. */
  takeRun(input: KernelInput): number {
    const { source, start } = input
    const windowBytes = source.copy(
      this.memory,
      this.#inputStart,
      start,
      Math.min(input.end, start + this.inputBytesMax)
    )
    const state = this.#state
    const sourceDelta = start - this.#inputStart
    state[SOURCE_DELTA] = sourceDelta
    state[DELTA_BASE] = input.deltaBase
    state[DELTA_LAST] = input.deltaLast
    state[OFFSET_BASE] = input.offsetBase
    state[TIME_BASE] = input.timeBaseMs
    state[IS_TIME_FIXED] = input.isTimeFixed ? 1 : 0
    state[BYTES_LEFT] = input.bytesLeft
    state[COLUMNS] = input.columns
    state[IS_FIRST] = input.isFirst ? 1 : 0
    this.rowCount = this.#exports.takeRun(windowBytes, input.rowsMax)
    this.messagesEnd = state[MESSAGES_END] ?? 0
    this.offsetsEnd = state[OFFSETS_END] ?? 0
    this.timestampsEnd = state[TIMESTAMPS_END] ?? 0
    this.keysEnd = state[KEYS_END] ?? 0
    this.next = (state[NEXT] ?? 0) + sourceDelta
    this.deltaLast = state[DELTA_LAST] ?? -1
    return this.rowCount
  }
}

let shared: RecordKernel | undefined
let isLoaded = false

/** The process's kernel; `undefined` where there is no WebAssembly. */
export function recordKernel(): RecordKernel | undefined {
  if (!isLoaded) {
    isLoaded = true
    // Absent under `--jitless`, among others.
    const { WebAssembly: wasm } = globalThis as { WebAssembly?: WasmApi }
    if (wasm !== undefined) {
      shared = new RecordKernel(readFileSync(new URL('./record-kernel.wasm', import.meta.url)), wasm)
    }
  }
  return shared
}
