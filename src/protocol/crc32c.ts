/**
 * CRC-32C (Castagnoli), the checksum of record batches.
 *
 * The processor's own instruction by way of a native module where there is one,
 * else slicing by eight: eight tables, eight bytes per step.
 *
 * Source: RFC 3720, appendix B.4; polynomial 0x1EDC6F41, reflected 0x82F63B78.
 */

const POLYNOMIAL = 0x82f63b78

/** Below this many bytes the call into native code costs more than it saves. */
const NATIVE_BYTES_MIN = 256

/**
 * The native function, once it is loaded; until then, and on a platform for
 * which the module has no binary, the portable one gives the same numbers. Not
 * awaited: a module that awaits cannot be loaded by `require`.
 */
let native: ((input: Buffer) => number) | undefined

// The name is put together so that no bundler looks for it: they stumble over binaries, and there is the portable one.
const nativeModule = ['@node-rs', 'crc32'].join('/')
void import(nativeModule).then(
  ({ crc32c: compute }: typeof import('@node-rs/crc32')) => {
    // The check value of the algorithm: a module that does not give it is not used.
    if (compute(Buffer.from('123456789')) === 0xe306_9283) native = input => compute(input)
  },
  () => undefined // No binary for this platform.
)

/** Eight tables of 256 in one array: table k holds the CRC of a byte followed by k zero bytes. */
const TABLE = makeTables()

function makeTables(): Int32Array {
  const table = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    table[byte] = crc
  }
  for (let at = 256; at < table.length; at++) {
    const crc = table[at - 256] ?? 0
    table[at] = (crc >>> 8) ^ (table[crc & 0xff] ?? 0)
  }
  return table
}

/**
 * CRC-32C of `buffer` from `start` to before `end`, unsigned.
 *
 * @param start - Default 0.
 * @param end - Default the end of the buffer.
 */
export function crc32c(buffer: Uint8Array, start = 0, end: number = buffer.length): number {
  if (native === undefined || end - start < NATIVE_BYTES_MIN) return crc32cPortable(buffer, start, end)
  return native(Buffer.from(buffer.buffer, buffer.byteOffset + start, end - start))
}

/** The same in JavaScript: for short input, and where the native module has no binary for the platform. */
export function crc32cPortable(buffer: Uint8Array, start = 0, end: number = buffer.length): number {
  // A missing element would be undefined, which bit operations take as 0: both arrays are indexed within their bounds.
  const t = TABLE
  let crc = -1
  let at = start
  for (const last = end - 7; at < last; at += 8) {
    const low =
      crc ^
      ((buffer[at] as number) |
        ((buffer[at + 1] as number) << 8) |
        ((buffer[at + 2] as number) << 16) |
        ((buffer[at + 3] as number) << 24))
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (buffer[at + 4] as number)] as number) ^
      (t[512 + (buffer[at + 5] as number)] as number) ^
      (t[256 + (buffer[at + 6] as number)] as number) ^
      (t[buffer[at + 7] as number] as number)
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ (buffer[at] as number)) & 0xff] as number)
  return ~crc >>> 0
}
