/** Weight of the pages: what the first page loads, compressed as the server sends it. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { buildPages } from '../../src/console/server/page-builder.ts'

const firstPageBytesMax = 80_000

test('scripts of the first page are at most 80 kB compressed, uPlot and a language included', async () => {
  const files = await buildPages(join(import.meta.dirname, '../../src/console/web'))
  const texts = new Map(
    files
      .filter(({ path }) => path.endsWith('.js'))
      .map(({ path, contents }) => [path, Buffer.from(contents).toString()])
  )
  const named = (text: string): string[] =>
    [...text.matchAll(/"\.\/([\w-]+\.js)"/g)].map(match => `assets/${match[1] ?? ''}`)
  const main = [...texts.keys()].find(path => path.startsWith('assets/main-')) ?? assert.fail('no entry')
  const overview = [...texts].find(([, text]) => text.includes('/api/doctor') && text.includes('pipeline-canvas'))
  const needed = new Set<string>()
  const add = (path: string): void => {
    const text = texts.get(path)
    if (text === undefined || needed.has(path)) return
    needed.add(path)
    // Pages that are loaded when they are opened are named by a call.
    for (const next of named(text.replaceAll(/import\("[^"]*"\)/g, ''))) add(next)
  }
  add(main)
  const pt = [...texts.keys()].find(path => path.startsWith('assets/pt-')) ?? assert.fail('no language')
  add(pt)
  assert.doesNotMatch(texts.get(pt) ?? '', /Consumer groups/, 'the other language comes along')
  add(overview?.[0] ?? assert.fail('no overview'))
  const bytes = [...needed].reduce((sum, path) => sum + gzipSync(texts.get(path) ?? '').length, 0)

  assert.ok(needed.size >= 3, [...needed].join())
  assert.ok(bytes > 20_000 && bytes <= firstPageBytesMax, `${bytes} bytes in ${needed.size} files`)
})
