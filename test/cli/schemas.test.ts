/** Schemas, weights and partitioners of a pipeline file, as the command line sees them. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { hostedComporta, temporaryFolder } from '../support/comporta.ts'

const hosted = hostedComporta()

const head = `name: x
kafka: { bootstrapServers: "127.0.0.1:1" }
producer:
  deadLetterTopic: dead
  route: { topic: t }
`

test('a wrong schema ends check and produce with 78, at its line in the pipeline file or in its own', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'schema.json'), '{\n  "type": "object",\n  "propertis": {}\n}\n')
  const text = `${head}  validate:
    topics:
      t:
        schema:
          type: object
          properties:
            codigo: { type: text }
`
  const withFile = `${head}  validate: { topics: { t: { schemaFile: schema.json } } }\n`
  writeFileSync(join(cwd, 'comporta.yaml'), text)
  const inline = await hosted(['check'], { cwd })
  assert.equal(inline.exitCode, 78, inline.stderr)
  assert.match(inline.stderr, /comporta\.yaml:12:23 producer\.validate\.topics\.t\.schema\.properties\.codigo\.type: /)
  writeFileSync(join(cwd, 'comporta.yaml'), withFile)
  const own = await hosted(['produce'], { cwd })
  assert.equal(own.exitCode, 78, own.stderr)
  assert.match(own.stderr, /comporta\.yaml:6:30 .*schemaFile: .*schema\.json:3:3 unknown keyword: "propertis"/)
  assert.doesNotMatch(own.stderr, /\n {4}at /)
})

test('check warns of what gives up order or the place of keys, and misses the file of a partitioner', async t => {
  const cwd = temporaryFolder(t)
  const key = '  key: { strategy: field, field: c, subKeys: { keys: [400], count: 4 } }\n'
  writeFileSync(join(cwd, 'comporta.yaml'), `${head}${key}  partitioner: { file: ./partitioner.mjs }\n`)
  const missing = await hosted(['check'], { cwd })
  assert.equal(missing.exitCode, 78)
  assert.match(missing.stderr, /comporta\.yaml:7:18 producer\.partitioner\.file: there is no file .*partitioner\.mjs/)
  writeFileSync(join(cwd, 'partitioner.mjs'), 'export const partition = () => 0\n')
  const sound = await hosted(['check'], { cwd })
  assert.equal(sound.exitCode, 0, sound.stderr)
  assert.match(sound.stderr, /warning: producer\.key\.subKeys: records of a hot key lose their order/)
  assert.match(sound.stderr, /warning: producer\.partitioner: chooses partitions by hand/)
})
