/** The package and its papers: what is published, what it depends on, what the docs point at. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { SECOND_DOORS } from './rooms.ts'
import { findings, repositoryFiles, root, textOf } from './source-tree.ts'

interface Manifest {
  readonly engines: { readonly node: string }
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
  readonly scripts: Readonly<Record<string, string>>
  readonly files: readonly string[]
  readonly allowScripts: Readonly<Record<string, boolean>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

interface LockedPackage {
  readonly resolved?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const manifest = JSON.parse(textOf('package.json')) as Manifest
const lock = JSON.parse(textOf('package-lock.json')) as { packages: Readonly<Record<string, LockedPackage>> }
const textFiles = repositoryFiles().filter(file => !/\.(?:bin|gz|png|jpe?g|ico|woff2?|log|index|wasm)$/.test(file))

test('a subpath export leads to the door of a room that exists', () => {
  for (const [subpath, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue
    const name = subpath.slice('./'.length)
    const door = SECOND_DOORS[name] ?? `${name}/index`
    assert.ok(existsSync(join(root, `src/${door}.ts`)), subpath)
    assert.deepEqual(target, { types: `./dist/${door}.d.ts`, default: `./dist/${door}.js` })
  }
})

test('what the package publishes is there', () => {
  const missing = manifest.files.filter(file => file !== 'dist' && !existsSync(join(root, file)))
  assert.deepEqual(missing, [])
})

test('the package runs no script when it is installed; of its dependencies only the pinned Node does', () => {
  const installScripts = ['preinstall', 'install', 'postinstall', 'prepare'].filter(name => name in manifest.scripts)
  assert.deepEqual(installScripts, [])
  assert.deepEqual(manifest.allowScripts, { node: true })
})

test('the libraries within the pages of the console are in NOTICE with whose they are', () => {
  const pages = repositoryFiles().filter(file => /^src\/console\/web\/.*\.tsx?$/.test(file))
  const imported = pages.flatMap(file => [...textOf(file).matchAll(/from '((?:@[\w-]+\/)?[a-z][\w-]*)/g)])
  const names = new Set(imported.map(([, name = '']) => name))
  for (const name of names) {
    for (const inner of Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {})) names.add(inner)
  }
  assert.ok(names.has('preact') && names.has('@preact/signals-core'))
  for (const name of names) {
    const [owner] = /^Copyright .*$/m.exec(textOf(`node_modules/${name}/LICENSE`)) ?? []
    const line = textOf('NOTICE')
      .split('\n')
      .find(text => text.includes(name))
    assert.ok(owner !== undefined && line?.endsWith(owner), `${name}: ${owner}`)
  }
})

test('every dependency has its line in docs/dependencies.md, and no line is left over', () => {
  const listed = textOf('docs/dependencies.md')
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .flatMap(line => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(match => match[1] ?? ''))
  const declared = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)]
  assert.deepEqual(listed.toSorted(), declared.toSorted())
})

test('the lock names versions and hashes, not the place that one machine fetched them from', () => {
  const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined)
  assert.deepEqual(
    resolved.map(([path]) => path),
    []
  )
})

test('the lock has the optional packages of every platform', () => {
  // Without them `npm ci` refuses the lock, or another platform lacks its binaries.
  const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      name => !(`node_modules/${name}` in lock.packages) && !(`${path}/node_modules/${name}` in lock.packages)
    )
  )
  assert.deepEqual(missing, [])
})

test('an old Node is told in one line which it is, which is needed, and how to get it', () => {
  const [major, minor] = manifest.engines.node.replace('>=', '').split('.').map(Number)
  const run = (version: string): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, ['--import', pretend(version), join(root, 'bin/comporta.js'), '--version'], {
      encoding: 'utf8'
    })

  const old = run(`${major}.${Number(minor) - 1}.9`)
  assert.equal(old.status, 78)
  assert.match(old.stderr, new RegExp(`^comporta needs Node ${major}\\.${minor} or newer and this is Node ${major}\\.`))
  assert.match(old.stderr, /npm ci.*npx/)
  assert.equal(old.stderr.trimEnd().split('\n').length, 1)

  assert.equal(run('18.20.0').status, 78)
  assert.doesNotMatch(run(`${major}.${minor}.0`).stderr, /needs Node/)
})

/** A module that makes `process.versions.node` another version. */
function pretend(version: string): string {
  const code = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
  return `data:text/javascript,${encodeURIComponent(code)}`
}

test('no file names a folder of one machine or a package registry', () => {
  const places = new RegExp(
    ['/(?:root|home/\\w+|Users/\\w+|work|workspace)/\\S+', '(?:registry|repo1?)\\.(?:npm|maven|yarn)\\w*\\.\\w+'].join(
      '|'
    ),
    'g'
  )
  const found = textFiles
    .filter(file => file !== 'test/repo/package.test.ts')
    .flatMap(file => findings(file, textOf(file), places))
  assert.deepEqual(found, [])
})

test('the reference of the pipeline file and its JSON Schema are what npm run docs:config writes', () => {
  const check = spawnSync(process.execPath, [join(root, 'scripts/generate-config-reference.ts'), '--check'], {
    cwd: root,
    encoding: 'utf8'
  })
  assert.equal(check.status, 0, check.stdout + check.stderr)
})

test('docs point only at files, scripts and headings that exist', () => {
  const pages = repositoryFiles().filter(file => file.endsWith('.md'))
  const broken = pages.flatMap(page => [...brokenLinks(page), ...brokenPaths(page), ...brokenScripts(page)])
  assert.deepEqual(broken, [])
})

function brokenLinks(page: string): string[] {
  const links = [...textOf(page).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(match => match[1] ?? '')
  return links.filter(link => !isLinkWhole(page, link)).map(link => `${page}: ${link}`)
}

function isLinkWhole(page: string, link: string): boolean {
  const [path, heading] = link.split('#')
  const target = path === '' || path === undefined ? page : join(dirname(page), path)
  if (!existsSync(join(root, target))) return false
  if (heading === undefined || !target.endsWith('.md')) return true
  const slugs = [...textOf(target).matchAll(/^#+ (.+)$/gm)].map(match => slug(match[1] ?? ''))
  return slugs.includes(heading)
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')
}

function brokenPaths(page: string): string[] {
  const text = textOf(page)
  // A path of this repository, in backticks; patterns with `*`, `<` or `…` are not paths.
  const paths = [...text.matchAll(/`((?:src|test|docs|scripts|bench|examples|bin|infra|schema)\/[\w./-]+)`/g)]
  return paths.filter(match => !existsSync(join(root, match[1] ?? ''))).map(match => `${page}: ${match[1]}`)
}

function brokenScripts(page: string): string[] {
  const names = [...textOf(page).matchAll(/\bnpm run ([\w:-]+)/g)].map(match => match[1] ?? '')
  return names.filter(name => !(name in manifest.scripts)).map(name => `${page}: npm run ${name}`)
}
