/** Words of the pages: in both languages alike, all used, none missing. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { fill, languageFor } from '../../src/console/web/base/word-forms.ts'
import { allWords } from '../../src/console/web/words/index.ts'

const root = join(import.meta.dirname, '../../src/console')
const code = globSync('**/*.{ts,tsx}', { cwd: root })
  .filter(file => !file.startsWith('web/words/'))
  .map(file => readFileSync(join(root, file), 'utf8'))
  .join('\n')
const keys = Object.keys(allWords.en)

function valuesOf(words: unknown): string[] {
  return [...JSON.stringify(words).matchAll(/\{(\w+)\}/g)].map(match => match[1] ?? '')
}

test('each text has the same values in both languages', () => {
  const pt: Readonly<Record<string, unknown>> = allWords.pt
  const unlike = Object.entries(allWords.en).filter(([key, words]) => {
    const [a, b] = [valuesOf(words), valuesOf(pt[key])].map(values => [...new Set(values)].toSorted().join())
    return a !== b
  })
  assert.deepEqual(
    unlike.map(([key]) => key),
    []
  )
})

test('every text is used: by its key, or by the beginning of a key that the code completes', () => {
  const literals = new Set([...code.matchAll(/['"]([a-z][\w-]*\.[\w.-]+)['"]/gi)].map(match => match[1]))
  const beginnings = [...code.matchAll(/`([a-z][\w-]*\.(?:[\w-]+\.)*)\$\{/gi)].map(match => match[1] ?? '')
  const unused = keys.filter(key => !literals.has(key) && !beginnings.some(beginning => key.startsWith(beginning)))
  assert.deepEqual(unused, [])
})

test('what the server says by a key has words', () => {
  const reasons = [...code.matchAll(/\breason\(\s*'(\w+)'/g)].map(match => `reason.${match[1] ?? ''}`)
  const facts = [...code.matchAll(/\bfact\(\s*'(\w+)'/g)].map(match => `fact.${match[1] ?? ''}`)
  const health = readFileSync(join(root, '../ops/lag/health.ts'), 'utf8')
  const union = /type HealthReason =([\s\S]*?)\n\n/.exec(health)?.[1] ?? ''
  const judged = [...union.matchAll(/'(\w+)'/g)].map(match => `reason.${match[1] ?? ''}`)

  assert.ok(reasons.length > 5 && facts.length > 5 && judged.length > 5)
  assert.deepEqual(
    [...reasons, ...facts, ...judged].filter(key => !keys.includes(key)),
    []
  )
})

test('a count chooses the form of its language, and is written as there', () => {
  const words = { one: '{count} row', other: '{count} rows' }
  assert.equal(fill(words, { count: 1 }, 'en'), '1 row')
  assert.equal(fill(words, { count: 12_345 }, 'en'), '12,345 rows')
  const linhas = { one: '{count} linha', other: '{count} linhas' }
  // Portuguese counts nothing as one.
  assert.equal(fill(linhas, { count: 0 }, 'pt-BR'), '0 linha')
  assert.equal(fill(linhas, { count: 1_000_000 }, 'pt-BR'), '1.000.000 linhas')
})

test('a value that is not given stays visible, and a value is not read as a text', () => {
  assert.equal(fill('{a} and {b}', { a: '{b}' }, 'en'), '{b} and {b}')
})

test('the language is the first that the reader wants and the console has', () => {
  assert.equal(languageFor(['fr-FR', 'pt-PT', 'en']), 'pt-BR')
  assert.equal(languageFor(['en-GB']), 'en')
  assert.equal(languageFor(['zz', '']), 'en')
})
