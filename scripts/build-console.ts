/**
 * Writes the pages of the console, as browsers load them, each file compressed beside itself:
 * `node scripts/build-console.ts [folder]`. Without a folder they go to `dist/console/pages`.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'

import { buildPages } from '../src/console/server/page-builder.ts'

const root = join(import.meta.dirname, '..')
/** Images are compressed already. */
const compressible = /\.(?:html|js|css|svg|json|txt|webmanifest)$/
const COMPRESS_FROM_BYTES = 600

/**
 * Builds the pages of the sources into a folder, which is emptied before.
 *
 * @returns How many files there are, and bytes as they are sent to a browser that takes brotli.
 */
export async function buildConsolePages(outDir: string): Promise<{ readonly files: number; readonly bytes: number }> {
  const files = await buildPages(join(root, 'src/console/web'))
  rmSync(outDir, { recursive: true, force: true })
  let bytes = 0
  for (const { path, contents } of files) {
    const target = join(outDir, path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, contents)
    const isSmall = contents.length < COMPRESS_FROM_BYTES || !compressible.test(path)
    const brotli = isSmall ? contents : brotliCompressSync(contents)
    bytes += brotli.length
    if (isSmall) continue
    writeFileSync(`${target}.br`, brotli)
    writeFileSync(`${target}.gz`, gzipSync(contents, { level: 9 }))
  }
  return { files: files.length, bytes }
}

if (import.meta.main) {
  const { files, bytes } = await buildConsolePages(process.argv[2] ?? join(root, 'dist/console/pages'))
  console.log(`pages of the console: ${files} files, ${bytes} bytes`)
}
