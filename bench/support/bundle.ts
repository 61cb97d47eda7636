/**
 * The programs that the benchmarks start, in the form in which the package is published: few joined files. Run from its
 * sources a broker needs three times as long to start, and more memory, since Node reads every module by itself.
 */

import { mkdir } from 'node:fs/promises'
import path from 'node:path'

import { build } from 'esbuild'

const root = path.join(import.meta.dirname, '../..')
/** As deep below the root as `dist/cli`, since the command line looks for `package.json` from there. */
const outdir = path.join(root, '.cache/bench')

/** Joins a program of this repository and answers the file to run. */
export async function bundled(program: string): Promise<string> {
  await mkdir(outdir, { recursive: true })
  const name = path.basename(program, '.ts')
  const outfile = path.join(outdir, `${name}.mjs`)
  await build({
    entryPoints: { [name]: path.join(root, program) },
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external'
  })
  return outfile
}
