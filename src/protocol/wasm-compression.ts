/**
 * Compression of snappy and LZ4 in WebAssembly, loaded with the first batch that wants it: compiling the library takes
 * 15 MB and a tenth of a second, and most processes only read, or compress otherwise.
 */

import { createRequire } from 'node:module'

type WasmUtils = typeof import('@platformatic/wasm-utils')

const require = createRequire(import.meta.url)
let loaded: WasmUtils | undefined

/** The library. */
export function wasmCompression(): WasmUtils {
  // What the package is, its types say.
  loaded ??= require('@platformatic/wasm-utils') as WasmUtils
  return loaded
}
