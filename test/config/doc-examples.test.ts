/** The pipeline files that README and guides show are sound, each part beside what its page leaves out. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

import { parse, stringify } from 'yaml'

import { parsePipeline } from '../../src/config/index.ts'

const root = path.join(import.meta.dirname, '../..')
const environment = {
  KAFKA_BOOTSTRAP: 'b-1.example:9098',
  KAFKA_USER: 'user',
  KAFKA_PASSWORD: 'secret',
  EVENTS_TOKEN: 'x'.repeat(32),
  ALICE_PASSWORD: 'x',
  CLIENT_SECRET: 'x',
  KEY_PASSPHRASE: 'x'
}

type Tree = Record<string, unknown>

/** What a page that shows only a part takes for granted. */
const rest: Tree = {
  name: 'example',
  kafka: { bootstrapServers: '127.0.0.1:9092' },
  dispatcher: {
    groupId: 'example',
    topics: ['orders'],
    deadLetterTopic: 'dead',
    target: { type: 'http', url: 'http://127.0.0.1:9999/' }
  }
}

interface Example {
  /** File and line. */
  readonly place: string
  readonly tree: Tree
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What has several forms is replaced: the settings of one form mean nothing to another. */
const replaced = new Set(['target', 'route', 'key'])

/** The second over the first. */
function merged(below: Tree, above: Tree): Tree {
  const result = { ...below }
  for (const [name, value] of Object.entries(above)) {
    const before = below[name]
    result[name] = !replaced.has(name) && isTree(before) && isTree(value) ? merged(before, value) : value
  }
  return result
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(path.join(root, file), 'utf8')
  return [...text.matchAll(/^```yaml\n([^]*?)^```/gm)].map(match => {
    const block = match[1] ?? ''
    const place = `${file}:${text.slice(0, match.index).split('\n').length}`
    const read: unknown = parse(block)
    assert.ok(isTree(read), `${place} is no mapping`)
    // An indented example is a part of the dispatcher's section.
    return { place, tree: block.startsWith(' ') ? { dispatcher: read } : read }
  })
}

function assertSound(place: string, tree: Tree): void {
  assert.doesNotThrow(() => parsePipeline(stringify(tree), { fileName: place, environment }), place)
}

test('every pipeline file in the guides is sound, and every part of one', () => {
  const examples = globSync('docs/guides/*.md', { cwd: root }).flatMap(examplesOf)
  assert.ok(examples.length > 10)
  for (const { place, tree } of examples) assertSound(place, tree['name'] === undefined ? merged(rest, tree) : tree)
})

test('the pipeline file of README is sound, alone and with each part that comes after it', () => {
  const [file, ...parts] = examplesOf('README.md')
  assert.ok(file !== undefined && parts.length > 1)
  assertSound(file.place, file.tree)
  for (const { place, tree } of parts) assertSound(place, merged(file.tree, tree))
})
