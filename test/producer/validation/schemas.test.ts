import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import type { ProducerInput } from '../../../src/config/index.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { type Outcome, resolving, topicOf } from '../routing/support.ts'

type Check = NonNullable<NonNullable<ProducerInput['validate']>['topics']>[string]

async function outcomes(check: Check, ...events: readonly (object | string)[]): Promise<Outcome[]> {
  const { resolve } = await resolving({ validate: { topics: { events: check } } })
  return resolve(...events)
}

async function refusal(check: Check): Promise<string> {
  const error: unknown = await resolving({ validate: { topics: { events: check } } }).then(
    () => undefined,
    (cause: unknown) => cause
  )
  assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'), String(error))
  return error.message
}

async function folderOf(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'comporta-schemas-'))
  t.after(() => rm(folder, { recursive: true }))
  await mkdir(join(folder, 'parts'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

const truck = {
  type: 'object',
  properties: {
    codigo: { type: 'integer', minimum: 300, maximum: 499 },
    truck_id: { type: 'string', pattern: '^T-[0-9]+$' },
    at: { type: 'string', format: 'date-time' },
    stops: { type: 'array', items: { type: 'object', properties: { km: { type: 'number' } } } }
  },
  required: ['codigo', 'truck_id'],
  additionalProperties: { type: 'string' }
}

test('what breaks the schema is invalid, with places and keywords, and without contents', async () => {
  const found = await outcomes(
    { schema: truck },
    { codigo: 400, truck_id: 'T-1', at: '2026-11-21T12:00:00Z' },
    { codigo: 900, truck_id: 'secret', at: 'tomorrow', stops: [{ km: 1 }, { km: 'far' }] },
    { truck_id: 'T-1', 'maria@example.com': 5 }
  )
  assert.deepEqual(found[0], { topic: 'events', key: null })
  assert.deepEqual(found[1], {
    errorClass: 'invalid',
    reason: 'not valid for events: /codigo maximum, /truck_id pattern, /at format, /stops/1/km type',
    broken: [
      { path: '/codigo', keyword: 'maximum' },
      { path: '/truck_id', keyword: 'pattern' },
      { path: '/at', keyword: 'format' },
      { path: '/stops/1/km', keyword: 'type' }
    ],
    errorTopic: undefined
  })
  assert.deepEqual('broken' in (found[2] ?? {}) && (found[2] as { broken: unknown }).broken, [
    { path: '/codigo', keyword: 'required' },
    { path: '/*', keyword: 'type' }
  ])
})

test('reasons are limited in number, and depth in levels', async () => {
  const schema = { type: 'array', items: { type: 'number' } }
  const check: Check = { schema: { type: 'object', properties: { list: schema } } }
  const validate = { topics: { events: check }, reasonsMax: 3, depthMax: 5 }
  const { resolve } = await resolving({ validate })
  const deep = `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`
  const [many, nested, whole] = resolve({ list: Array.from({ length: 50 }, () => 'x') }, deep, '{"a":[[[[1]]]]}')
  assert.ok(many && 'broken' in many && nested && 'broken' in nested)
  assert.equal(many.broken?.length, 3)
  assert.deepEqual(nested.broken, [{ path: '', keyword: 'depthMax' }])
  assert.equal(topicOf(whole), 'events')
})

test('required fields and the size of a topic need no schema', async () => {
  const check: Check = { required: ['a', 'b.c'], recordBytesMax: 40, errorTopic: 'bad' }
  const found = await outcomes(
    check,
    { a: 1, b: { c: [] } },
    { a: null, b: { c: 1 } },
    { a: 1, b: 2 },
    { a: 'x'.repeat(40), b: { c: 1 } }
  )
  assert.equal(topicOf(found[0]), 'events')
  const [, missing, inner, large] = found
  assert.ok(missing && 'broken' in missing && inner && 'broken' in inner && large && 'errorClass' in large)
  assert.deepEqual(missing.broken, [{ path: '/a', keyword: 'required' }])
  assert.deepEqual(inner.broken, [{ path: '/b/c', keyword: 'required' }])
  assert.equal(missing.errorTopic, 'bad')
  assert.deepEqual([large.errorClass, large.errorTopic], ['oversized', 'bad'])
  assert.equal(large.reason, 'the event has 60 bytes, allowed for events are 40')
})

test('the check of a rule stands instead of that of its topic', async () => {
  const { resolve } = await resolving({
    route: {
      rules: [{ when: { fields: { v: [2] } }, topic: 'events', validate: { required: ['new'] } }, { topic: 'events' }]
    },
    validate: { topics: { events: { required: ['old'] } } }
  })
  const found = resolve({ v: 2, new: 1 }, { v: 2, old: 1 }, { v: 1, old: 1 }, { v: 1, new: 1 }).map(topicOf)
  assert.deepEqual(found, ['events', 'invalid', 'events', 'invalid'])
})

test('draft 07 and draft 2020-12 are told apart by $schema', async () => {
  const tuple = { properties: { pair: { type: 'array', minItems: 2, maxItems: 2 } } }
  const old: Check = {
    schema: {
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      properties: {
        pair: { ...tuple.properties.pair, items: [{ type: 'number' }, { type: 'string' }], additionalItems: false }
      }
    }
  }
  const now: Check = {
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: {
        pair: { ...tuple.properties.pair, prefixItems: [{ type: 'number' }, { type: 'string' }], items: false }
      }
    }
  }
  for (const check of [old, now]) {
    assert.deepEqual((await outcomes(check, { pair: [1, 'a'] }, { pair: ['a', 1] })).map(topicOf), [
      'events',
      'invalid'
    ])
  }
  assert.match(
    await refusal({ schema: { $schema: 'http://json-schema.org/draft-04/schema#' } }),
    /\$schema: .*2020-12 and 07/
  )
})

test('files of the folder may be referred to, by their place or by $id, and nothing else', async t => {
  const folder = await folderOf(t, {
    'event.json': '{"type":"object","properties":{"at":{"$ref":"parts/at.yaml#/$defs/time"}}}',
    'named.json':
      '{"$id":"https://example.com/s/n.json","type":"object","properties":{"at":{"$ref":"parts/at.yaml#/$defs/time"}}}',
    'parts/at.yaml': '$defs:\n  time: { type: integer, minimum: 0 }\n',
    'out.json': '{"$ref":"../other.json"}',
    'net.json': '{\n  "$ref": "https://example.com/x.json"\n}',
    'none.json': '{"$ref":"parts/none.json"}',
    'link.json': '{"$ref":"parts/link.json"}'
  })
  await symlink('/etc/hostname', join(folder, 'parts/link.json'))
  const file = (name: string): Check => ({ schemaFile: join(folder, name) })
  for (const name of ['event.json', 'named.json']) {
    assert.deepEqual((await outcomes(file(name), { at: 1 }, { at: -1 })).map(topicOf), ['events', 'invalid'], name)
  }
  assert.match(await refusal(file('out.json')), /out\.json:1:2 refers to "\.\.\/other\.json": only files in the folder/)
  assert.match(await refusal(file('net.json')), /net\.json:2:3 refers to .*nothing is fetched/)
  assert.match(await refusal(file('none.json')), /there is no file .*none\.json/)
  assert.match(await refusal(file('link.json')), /outside the folder/)
  assert.match(await refusal({ schema: { $ref: 'event.json' } }), /parts of itself only; use schemaFile/)
})

test('a wrong schema does not start: the message has file, line and column', async t => {
  const folder = await folderOf(t, {
    'broken.json': '{\n  "type": "object",\n  "properties": {\n}',
    'type.json': '{\n  "type": "object",\n  "properties": {\n    "a": { "type": "text" }\n  }\n}',
    'typo.yaml': 'type: object\nproperties:\n  a:\n    type: string\n    maxLenght: 5\n',
    'format.yaml': 'type: object\nproperties:\n  a:\n    type: string\n    format: phone\n',
    'pattern.yaml': "type: object\nproperties:\n  a:\n    type: string\n    pattern: '(?=a)b'\n",
    'untyped.yaml': 'type: object\nproperties:\n  a:\n    minimum: 5\n',
    'twice.json': '{"type":"object","type":"array"}',
    'list.json': '[]',
    'deep.json': `{"not":${'{"not":'.repeat(100)}{}${'}'.repeat(100)}}`
  })
  const cases: readonly (readonly [string, RegExp])[] = [
    ['broken.json', /broken\.json:\d:\d+ not valid JSON or YAML/],
    ['type.json', /type\.json:4:\d+ is no valid schema here: must be equal to one of the allowed values/],
    ['typo.yaml', /typo\.yaml:5:5 unknown keyword: "maxLenght"/],
    ['format.yaml', /format\.yaml:3:3 unknown format "phone"/],
    ['pattern.yaml', /pattern\.yaml:5:5 the pattern "\(\?=a\)b": .*no lookaround/],
    ['untyped.yaml', /untyped\.yaml:3:3 missing type "number" for keyword "minimum"/],
    ['twice.json', /twice\.json:1:\d+ not valid JSON or YAML: Map keys must be unique/],
    ['list.json', /list\.json holds no object/],
    ['deep.json', /deep\.json.* has more than 64 levels/],
    ['absent.json', /absent\.json cannot be read: ENOENT/]
  ]
  for (const [name, expected] of cases) {
    const message = await refusal({ schemaFile: join(folder, name) })
    assert.match(message, expected)
    assert.match(message, /producer\.validate\.topics\.events\.schemaFile: /)
  }
  const inline = await refusal({ schema: { type: 'object', properties: { a: { type: 'text' } } } })
  assert.match(inline, /producer\.validate\.topics\.events\.schema\.properties\.a\.type: is no valid schema/)
})

test('no event can make a check hang: patterns, formats and unique items take linear time', async () => {
  const names = [
    'email',
    'uri',
    'uri-reference',
    'uri-template',
    'hostname',
    'ipv6',
    'json-pointer',
    'duration',
    'regex'
  ]
  const formats = Object.fromEntries(names.map(name => [name, { type: 'string', format: name }]))
  const check: Check = {
    schema: {
      type: 'object',
      properties: {
        ...formats,
        evil: { type: 'string', pattern: '^(a+)+$' },
        list: { type: 'array', uniqueItems: true }
      }
    }
  }
  const hostile = ['a'.repeat(8000) + '!', 'a.'.repeat(1000), ':'.repeat(2000), '%a'.repeat(1000), 'a@'.repeat(1000)]
  const events: object[] = hostile.flatMap(text => [
    { evil: text },
    ...names.flatMap(name => [{ [name]: text }, { [name]: text.slice(0, 250) }])
  ])
  const items = Array.from({ length: 30_000 }, (_, n) => ({ n, m: [n] }))
  const startedAt = process.hrtime.bigint()
  const found = await outcomes(check, ...events, { list: items }, { list: [...items, { m: [5], n: 5 }] })
  const tookMs = Number(process.hrtime.bigint() - startedAt) / 1e6
  assert.ok(tookMs < 5000, `${tookMs} ms`)
  assert.deepEqual(found.slice(-2).map(topicOf), ['events', 'invalid'])
  assert.equal(topicOf(found[0]), 'invalid')
})

test('two patterns of one schema stay two', async () => {
  const text = (pattern: string): object => ({ type: 'string', pattern })
  const check: Check = { schema: { type: 'object', properties: { a: text('^a+$'), b: text('^b+$') } } }
  assert.deepEqual((await outcomes(check, { a: 'aa', b: 'bb' }, { a: 'bb' }, { b: 'aa' })).map(topicOf), [
    'events',
    'invalid',
    'invalid'
  ])
})

test('what objects inherit is no member of an event', async () => {
  const properties = { constructor: { type: 'string' }, toString: { type: 'string' } }
  const check: Check = {
    schema: { type: 'object', properties, required: ['constructor'], additionalProperties: false }
  }
  const found = await outcomes(check, {}, { constructor: 'a' }, '{"constructor":"a","__proto__":{"toString":1}}')
  assert.deepEqual(found.map(topicOf), ['invalid', 'events', 'invalid'])
  assert.deepEqual('broken' in (found[0] ?? {}) && (found[0] as { broken: unknown }).broken, [
    { path: '/constructor', keyword: 'required' }
  ])
})
