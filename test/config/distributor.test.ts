/** `distributor:` of the pipeline file: what is wrong is named with its line before anything starts. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePipeline } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'

const head = `name: x
kafka: { bootstrapServers: "127.0.0.1:9092" }
lambda:
  functions:
    f:
      handler: builtin:distributor
      distributor:`

/** Message of the refusal, one problem per line. */
function refusal(distributor: string): string[] {
  try {
    parsePipeline(head + distributor, { fileName: 'p.yaml', environment: {} })
  } catch (error) {
    assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
    return error.message.split('\n').slice(1)
  }
  assert.fail('the file is taken')
}

test('routes and targets that cannot work are refused, each with its line and what would do', () => {
  const problems = refusal(`
        targets: { a: "http://127.0.0.1:1", b: { type: http, url: "nope", headrs: {} }, c: { type: telegraph } }
        routes:
          - { when: { speed: [{ from: 5, to: 1 }] }, targets: [a] }
          - { value: [1], targets: [a] }
          - { values: [], targets: [a] }
          - { values: [1], services: [a] }
          - { values: [1], when: { a: [1] }, targets: [a] }
          - { when: {}, targets: [a] }
        otherwise: nowhere
`).map(line => line.trim().replace('lambda.functions.f.distributor.', ''))
  const expected = [
    /^p\.yaml:8:62 targets\.b\.url: not an http/,
    /^p\.yaml:8:75 targets\.b\.headrs: no such setting; did you mean headers/,
    /^p\.yaml:8:94 targets\.c\.type: .*'sqs'.*'kafka'/,
    /^p\.yaml:10:31 routes\.0\.when\.speed\.0: the range 5 to 1 is empty/,
    /^p\.yaml:11:13 routes\.1\.values: is missing/,
    /^p\.yaml:11:15 routes\.1\.value: no such setting; did you mean values/,
    /^p\.yaml:12:15 routes\.2\.values: /,
    /^p\.yaml:13:13 routes\.3\.targets: is missing/,
    /^p\.yaml:13:28 routes\.3\.services: no such setting/,
    /^p\.yaml:14:28 routes\.4\.when: does not go together/,
    /^p\.yaml:15:15 routes\.5\.when: names no field/,
    /^p\.yaml:16:9 otherwise: /
  ]
  assert.equal(problems.length, expected.length, problems.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? '', pattern)
})

test('what a target of HTTP may have is taken as it is', () => {
  const { lambda } = parsePipeline(
    `${head}
        targets:
          a:
            type: http
            url: "http://127.0.0.1:1"
            headers: { authorization: { env: TOKEN }, x-a: b }
            retry: { attemptsMax: 3 }
        routes: [{ when: { "a.b": ["x", { prefix: y }] }, targets: [a] }]
        otherwise: skip
`,
    { fileName: 'p.yaml', environment: {} }
  )
  assert.deepEqual(lambda?.functions['f']?.distributor, {
    field: 'codigo',
    targets: {
      a: {
        type: 'http',
        url: 'http://127.0.0.1:1',
        headers: { authorization: { env: 'TOKEN' }, 'x-a': 'b' },
        retry: { attemptsMax: 3 }
      }
    },
    routes: [{ when: { 'a.b': ['x', { prefix: 'y' }] }, targets: ['a'] }],
    otherwise: 'skip',
    order: 'key',
    timeoutMs: 5000
  })
})

test('variables that Lambda sets itself, or would not take, are refused with what to do', () => {
  const problems = refusal(`
        targets: { a: "http://127.0.0.1:1" }
        otherwise: [a]
      environment: { AWS_REGION: eu-west-1, 1X: y, AWS_ACCESS_KEY_ID: { env: KEY } }
`).map(line => line.trim().replace('lambda.functions.f.environment.', ''))
  assert.deepEqual(problems, [
    'p.yaml:10:22 AWS_REGION: is set by Lambda itself and cannot be another; for the region: lambda.region',
    'p.yaml:10:45 1X: not a name that Lambda allows for a variable'
  ])
})
