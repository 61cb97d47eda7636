/**
 * Builds `dist/`, the form in which the package is published: JavaScript and
 * type declarations from tsc, plus the files that tsc does not carry over.
 *
 * The rooms that a broker and a client consist of become few files instead of
 * several hundred: reading modules one by one took two thirds of a broker's
 * start. Every other room imports them through their doors, so it does not see
 * the difference; what the doors share is in `dist/chunks`, once.
 *
 * It also refuses a build in which a file names another one by a path that
 * exists only among the sources: tsc rewrites import specifiers, but not
 * `new URL('./worker.ts', import.meta.url)`.
 */

import { spawnSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { build } from 'esbuild'

import { buildConsolePages } from './build-console.ts'
import { buildDistributor } from './build-distributor.ts'

const root = join(import.meta.dirname, '..')
const sourceDir = join(root, 'src')
const distDir = join(root, 'dist')

rmSync(distDir, { recursive: true, force: true })

const compiler = join(root, 'node_modules/.bin/tsc')
const compiled = spawnSync(compiler, ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (compiled.status !== 0) process.exit(1)

// Pages are for browsers: they are bundled below, and nothing of their sources is carried over.
const assets = globSync('**/*.*', {
  cwd: sourceDir,
  exclude: name => /\.ts$|^README\.md$|^console\/web(?:\/|$)/.test(name.replaceAll('\\', '/'))
})
for (const asset of assets) {
  const target = join(distDir, asset)
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(join(sourceDir, asset), target)
}

const bundledRooms = ['core', 'config', 'telemetry', 'protocol', 'broker', 'client', 'ops']
const doors = bundledRooms.map(room => join(distDir, room, 'index.js'))
const bundle = await build({
  entryPoints: doors,
  outdir: distDir,
  outbase: distDir,
  write: false,
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node22',
  packages: 'external'
})
for (const room of bundledRooms) {
  for (const file of globSync('**/*.js', { cwd: join(distDir, room) })) rmSync(join(distDir, room, file))
}
for (const { path, contents } of bundle.outputFiles) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, contents)
}

const sourcePaths = /new URL\(\s*(['"`])[^'"`]*\.ts\1|import\.meta\.resolve\(\s*(['"`])[^'"`]*\.ts\2/
const broken = globSync('**/*.js', { cwd: distDir }).filter(file =>
  sourcePaths.test(readFileSync(join(distDir, file), 'utf8'))
)
if (broken.length > 0) {
  console.error(`These files name a .ts file by URL, which is not in dist: ${broken.join(', ')}`)
  process.exit(1)
}
const bundleBytes = await buildDistributor(join(distDir, 'function/distributor.cjs'))
console.log(`distributor in one file: ${bundleBytes} bytes`)
const pages = await buildConsolePages(join(distDir, 'console/pages'))
console.log(`pages of the console: ${pages.files} files, ${pages.bytes} bytes with brotli`)
console.log(`built dist: ${globSync('**/*.js', { cwd: distDir }).length} modules, ${assets.length} other files`)
