/** The shape of the code: limits, docstrings, no ambient time or chance, nothing left for later. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AMBIENT_FILES } from './rooms.ts'
import { bareCode, findings, isGenerated, repositoryFiles, textOf, typeScriptFiles } from './source-tree.ts'

const lineLengthMax = 120
const fileLinesMax = 600
const testFileLinesMax = 800
const codeFolders = ['src', 'test', 'bench', 'scripts', 'examples']

interface LintConfig {
  readonly rules: Readonly<Record<string, unknown>>
}

test('the linter counts lines and parameters, and finds floating promises', () => {
  const { rules } = JSON.parse(textOf('.oxlintrc.json')) as LintConfig
  const ruleOf = (name: string): unknown => rules[name]
  const counting = { skipBlankLines: false, skipComments: false }

  assert.deepEqual(ruleOf('max-lines'), ['error', { max: fileLinesMax, ...counting }])
  assert.deepEqual(ruleOf('max-lines-per-function'), ['error', { max: 70, ...counting, IIFEs: true }])
  assert.deepEqual(ruleOf('max-params'), ['error', { max: 3 }])
  for (const name of ['no-floating-promises', 'no-misused-promises', 'no-explicit-any', 'no-non-null-assertion']) {
    const rule = ruleOf(`typescript/${name}`)
    assert.equal(Array.isArray(rule) ? rule[0] : rule, 'error', name)
  }
  assert.equal(ruleOf('typescript/switch-exhaustiveness-check'), 'error')
})

test('a rule is switched off only for one line, and with the reason', () => {
  const switches = /(?:eslint|oxlint)-disable(?!-next-line [\w/, -]+ -- \w{2,}|-line [\w/, -]+ -- \w{2,}).*/g
  const suppressions = /@ts-(?:ignore|nocheck)\b.*/g
  const found = typeScriptFiles(codeFolders)
    .filter(file => file !== 'test/repo/code-shape.test.ts')
    .flatMap(file => [...findings(file, textOf(file), switches), ...findings(file, textOf(file), suppressions)])
  assert.deepEqual(found, [])
})

test('files and lines keep to their limits', () => {
  const found = typeScriptFiles(codeFolders).flatMap(file => {
    const lines = textOf(file).trimEnd().split('\n')
    const linesMax = file.startsWith('test/') ? testFileLinesMax : fileLinesMax
    const tooLong = lines.flatMap((line, index) =>
      line.length > lineLengthMax ? [`${file}:${index + 1}: ${line.length} characters`] : []
    )
    return lines.length > linesMax ? [`${file}: ${lines.length} lines`, ...tooLong] : tooLong
  })
  assert.deepEqual(found, [])
})

test('time, timers, randomness and the environment come in as values', () => {
  // Reading a given time (`new Date(ms)`, `Date.parse`) asks no clock.
  const names = [
    'Date\\.now',
    'new Date\\(\\s*\\)',
    'performance',
    'set(?:Timeout|Interval|Immediate)',
    'AbortSignal\\.timeout',
    'Math\\.random',
    'process\\.(?:env|hrtime)'
  ]
  const ambient = new RegExp(`(?<![.\\w])(?:${names.join('|')})(?!\\w)`, 'g')
  const modules = /^import .*'(?:node:timers(?:\/promises)?|node:perf_hooks)'/gm
  const found = typeScriptFiles(['src'])
    .filter(file => !AMBIENT_FILES.some(pattern => pattern.test(file)))
    .flatMap(file => [...findings(file, bareCode(textOf(file)), ambient), ...findings(file, textOf(file), modules)])
  assert.deepEqual(found, [])
})

test('every source file opens by saying what it is for', () => {
  const silent = typeScriptFiles(['src', 'scripts', 'bench']).filter(file => !/^(?:#!.*\n)?\/\*\*/.test(textOf(file)))
  assert.deepEqual(silent, [])
})

test('what is exported has a docstring', () => {
  const declaration =
    /^export (?:declare )?(?:abstract )?(?:async )?(function\*?|class|interface|type|const|let) ([\w$]+)/
  const found = typeScriptFiles(['src'])
    // Their header speaks for the one table in each.
    .filter(file => !/^src\/core\/error-codes\/[\w-]+\.ts$/.test(file))
    .flatMap(file => {
      const lines = textOf(file).split('\n')
      const code = bareCode(textOf(file)).split('\n')
      return code.flatMap((line, index) => {
        const name = declaration.exec(line)?.[2]
        const isOverload = code.slice(0, index).some(other => declaration.exec(other)?.[2] === name)
        return name === undefined || isDocumented(lines, index) || isOverload ? [] : [`${file}:${index + 1}: ${name}`]
      })
    })
  assert.deepEqual(found, [])
})

/** Whether a docstring ends above a line; line comments between the two speak to the linter. */
function isDocumented(lines: readonly string[], index: number): boolean {
  const above = lines.slice(0, index).findLast(line => !line.startsWith('//'))
  return above?.trimEnd().endsWith('*/') === true
}

test('a generated file names its generator in line 1', () => {
  const nameless = repositoryFiles()
    .filter(isGenerated)
    .filter(file => !/[Gg]enerated by .*scripts\/[\w/.-]+/.test(textOf(file).split('\n')[0] ?? ''))
  assert.deepEqual(nameless, [])
})

test('nothing is left for later', () => {
  // Put together, so that this file does not name them itself.
  const marks = new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b.*`, 'g')
  const found = repositoryFiles()
    .filter(file => /\.(?:ts|js|json|md|ya?ml|xml|sh|html|css)$/.test(file) && file !== 'package-lock.json')
    .flatMap(file => findings(file, textOf(file), marks))
  assert.deepEqual(found, [])
})

test('no test is left for later, and none keeps the others from running', () => {
  const marks = /\b(?:test|it|describe|suite)\.(?:todo|only)\b|[{,]\s*(?:todo|only):.*/g
  const found = typeScriptFiles(['test']).flatMap(file => findings(file, bareCode(textOf(file)), marks))
  assert.deepEqual(found, [])
})
