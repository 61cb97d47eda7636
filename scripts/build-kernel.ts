/**
 * Compiles the dispatcher's kernel: `node scripts/build-kernel.ts [output]`.
 *
 * The result is in the repository, so that neither a checkout nor an installation has to compile anything; the same
 * source and the same compiler give the same bytes.
 */

import { join } from 'node:path'

import asc from 'assemblyscript/asc'

const root = join(import.meta.dirname, '..')
const output = process.argv[2] ?? join(root, 'src/dispatcher/kernel/record-kernel.wasm')
const flags = '-O3 --noAssert --runtime stub --enable simd --enable bulk-memory --initialMemory 72 --maximumMemory 72'
const source = join('kernel', 'record-kernel.ts')
const messages: string[] = []
const stderr = { write: (text: string | Uint8Array): void => void messages.push(Buffer.from(text).toString()) }
const args = [source, '--baseDir', root, '--outFile', output, ...flags.split(' ')]
const { error } = await asc.main(args, { stderr })
if (error !== null) {
  console.error(`${error.message}\n${messages.join('')}`)
  process.exit(1)
}
