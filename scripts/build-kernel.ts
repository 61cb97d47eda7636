/**
 * Compiles the kernels: `node scripts/build-kernel.ts [folder]`. Without a folder each goes to the room that uses it.
 *
 * The results are in the repository, so that neither a checkout nor an installation has to compile anything; the same
 * source and the same compiler give the same bytes.
 */

import { basename, join } from 'node:path'

import asc from 'assemblyscript/asc'

const root = join(import.meta.dirname, '..')
const folder = process.argv[2]

/** Each kernel: its source, where it is used, and its memory in pages of 64 KiB. */
const kernels = [
  { source: 'record-kernel.ts', output: 'src/dispatcher/kernel/record-kernel.wasm', pages: 72 },
  { source: 'event-kernel.ts', output: 'src/producer/kernel/event-kernel.wasm', pages: 36 }
]

for (const { source, output, pages } of kernels) {
  const file = folder === undefined ? join(root, output) : join(folder, basename(output))
  const memory = `--initialMemory ${pages} --maximumMemory ${pages}`
  const flags = `-O3 --noAssert --runtime stub --enable simd --enable bulk-memory ${memory}`
  const messages: string[] = []
  const stderr = { write: (text: string | Uint8Array): void => void messages.push(Buffer.from(text).toString()) }
  const args = [join('kernel', source), '--baseDir', root, '--outFile', file, ...flags.split(' ')]
  const { error } = await asc.main(args, { stderr })
  if (error !== null) {
    console.error(`${error.message}\n${messages.join('')}`)
    process.exit(1)
  }
}
