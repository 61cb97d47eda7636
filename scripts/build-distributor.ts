/**
 * Makes one file of the distributor and everything it needs, for AWS Lambda:
 * `node scripts/build-distributor.ts [out.cjs]`.
 *
 * CommonJS, because Lambda's own copy of the AWS SDK is found by `require` and not by `import`. The SDK stays outside:
 * the runtime brings it. So does the native CRC-32C, for which there is JavaScript in the bundle.
 */

import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { build, type Plugin } from 'esbuild'

const root = join(import.meta.dirname, '..')

/** Most bytes of the bundle: what it costs to load is paid at every cold start. */
export const BUNDLE_BYTES_MAX = 1_000_000

/** Snappy and LZ4 for Kafka targets: a bundle has no file of WebAssembly beside it, so the library brings its bytes. */
const inlineWasm: Plugin = {
  name: 'inline-wasm',
  setup: bundler => {
    bundler.onLoad({ filter: /[/\\]protocol[/\\]wasm-compression\.ts$/ }, () => ({
      // By `require`, which esbuild runs when it is called: few functions compress.
      contents: "export const wasmCompression = () => require('@platformatic/wasm-utils/bundled')",
      loader: 'js',
      resolveDir: root
    }))
  }
}

/**
 * Writes the bundle.
 *
 * @returns Its size in bytes.
 * @throws Error if it is larger than `BUNDLE_BYTES_MAX`.
 */
export async function buildDistributor(outFile: string): Promise<number> {
  await mkdir(dirname(outFile), { recursive: true })
  const { metafile } = await build({
    entryPoints: [join(root, 'src/lambda/bundle/distributor.ts')],
    outfile: outFile,
    bundle: true,
    minify: true,
    // Names of functions and classes stay: they are in the traces that users read.
    keepNames: true,
    legalComments: 'none',
    metafile: true,
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    // The tracer is 125 KB that few need: whoever traces adds the layer of Powertools that AWS publishes.
    external: ['@aws-sdk/*', '@smithy/*', '@node-rs/*', '@aws-lambda-powertools/tracer'],
    // `require`, which looks where Lambda keeps its SDK and its layers; `import()` does not.
    supported: { 'dynamic-import': false },
    plugins: [inlineWasm],
    define: { 'import.meta.url': 'importMetaUrl' },
    banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href" }
  })
  const bytes = Object.values(metafile.outputs).find(output => output.entryPoint !== undefined)?.bytes ?? 0
  if (bytes > BUNDLE_BYTES_MAX) throw new Error(`the distributor has ${bytes} bytes; ${BUNDLE_BYTES_MAX} is the limit`)
  return bytes
}

if (import.meta.main) {
  const outFile = process.argv[2] ?? join(root, 'dist/function/distributor.cjs')
  console.log(`${outFile}: ${await buildDistributor(outFile)} bytes`)
}
