/**
 * Bundles the pages for browsers: one entry, one file more for each page that is loaded when it is opened, names with
 * the hash of what is in them, no address of somebody else. Runs when the package is built, and once in a checkout;
 * the bundler is loaded by that alone, users of the package do not have it.
 */

import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

import { oneLanguage } from './page-words.ts'

/** A file of the pages, by its path below the address of the console, without `/` at its beginning. */
export interface BuiltFile {
  readonly path: string
  readonly contents: Uint8Array
}

/** Folder of files with the hash in their names. */
export const ASSETS = 'assets'

/**
 * @param sourceDir - Folder with `main.tsx`, `index.html` and files that are served as they are.
 * @throws Error with the bundler's messages.
 */
export async function buildPages(sourceDir: string): Promise<readonly BuiltFile[]> {
  const { build } = await import('esbuild')
  const result = await build({
    entryPoints: [join(sourceDir, 'main.tsx')],
    outdir: join(sourceDir, 'built', ASSETS),
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.svg': 'file', '.png': 'file', '.woff2': 'file' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
    target: ['es2022', 'chrome109', 'firefox115', 'safari16.4'],
    format: 'esm',
    platform: 'browser',
    plugins: [oneLanguage],
    bundle: true,
    splitting: true,
    minify: true,
    metafile: true,
    write: false,
    legalComments: 'none',
    logLevel: 'silent'
  })
  const nameOf = (path: string): string => relative(join(sourceDir, 'built'), path).replaceAll('\\', '/')
  const files = result.outputFiles.map(({ path, contents }) => ({ path: nameOf(path), contents }))
  const named = (form: RegExp): string[] => files.map(({ path }) => path).filter(path => form.test(path))
  const html = pageOf(sourceDir, named(/^assets\/main-[^/]*\.js$/), named(/^assets\/main-[^/]*\.css$/))
  return [{ path: 'index.html', contents: Buffer.from(html) }, ...files, ...plainFiles(sourceDir)]
}

/** Served under their own names: icons, the manifest. */
function plainFiles(sourceDir: string): BuiltFile[] {
  const names = globSync('*.{svg,png,ico,webmanifest,txt}', { cwd: sourceDir })
  return names.map(name => ({ path: name, contents: readFileSync(join(sourceDir, name)) }))
}

const plainPage =
  '<!doctype html><html lang="en"><head><title>Comporta</title></head><body><div id="root"></div></body>'

function pageOf(sourceDir: string, scripts: readonly string[], styles: readonly string[]): string {
  const file = join(sourceDir, 'index.html')
  const html = existsSync(file) ? readFileSync(file, 'utf8') : plainPage
  const tags = [
    ...styles.map(path => `<link rel="stylesheet" href="/${path}" />`),
    ...scripts.map(path => `<script type="module" src="/${path}"></script>`)
  ]
  return html.replace('</head>', () => `${tags.join('')}</head>`)
}
