/** Error codes: the tables, the page of the docs, the code that throws and the tests name the same ones. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorDocs } from '../../scripts/error-docs.ts'
import { ERROR_CODES } from '../../src/core/error-codes/index.ts'
import { textOf, typeScriptFiles, withoutComments } from './source-tree.ts'

const codes = Object.keys(ERROR_CODES)
const tables = typeScriptFiles(['src/core/error-codes'])
const rooms = new Set(codes.map(code => code.split('_')[1]))

/** The codes that a group of files names as string literals. */
function codesNamedIn(files: readonly string[]): Set<string> {
  const literals = files.flatMap(file => [...withoutComments(textOf(file)).matchAll(/['"`](ERR_[A-Z]+_\w+)['"`]/g)])
  return new Set(literals.map(match => match[1] ?? ''))
}

test('every code stands in one table, that of its room', () => {
  const listed = tables.flatMap(file => {
    const room = /([a-z-]+)\.ts$/.exec(file)?.[1] ?? ''
    const names = [...withoutComments(textOf(file)).matchAll(/^ {2}(ERR_\w+): /gm)].map(match => match[1] ?? '')
    for (const name of names) assert.ok(name.startsWith(`ERR_${room.toUpperCase()}_`), `${name} in ${file}`)
    return names
  })
  assert.deepEqual(listed.toSorted(), codes.toSorted())
})

test('every entry says what happened and what to do, in a sentence', () => {
  for (const [code, { summary, remedy }] of Object.entries(ERROR_CODES)) {
    assert.match(summary, /^\S.*[.!]$/, code)
    assert.match(remedy, /^\S.*[.!]$/, code)
  }
})

test('docs/reference/errors.md is what npm run docs:errors writes', () => {
  assert.equal(textOf('docs/reference/errors.md'), errorDocs())
})

test('every code is used by the code, and none is used that has no entry', () => {
  const used = codesNamedIn(typeScriptFiles(['src']).filter(file => !tables.includes(file)))
  assert.deepEqual({ unused: codes.filter(code => !used.has(code)) }, { unused: [] })
  // Node and others have codes of the same form, and rooms ask for some of them.
  const unknown = [...used].filter(code => rooms.has(code.split('_')[1]) && !codes.includes(code))
  assert.deepEqual({ unknown }, { unknown: [] })
})

test('every code is asserted by a test, by its name', () => {
  const tested = codesNamedIn(typeScriptFiles(['test']).filter(file => file.endsWith('.test.ts')))
  assert.deepEqual({ untested: codes.filter(code => !tested.has(code)) }, { untested: [] })
})
