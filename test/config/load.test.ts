import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  loadPipelineFile,
  parsePipeline,
  PIPELINE_TEMPLATE,
  type PipelineConfig,
  type Problem
} from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'

function parse(text: string, environment: Record<string, string> = {}): PipelineConfig {
  return parsePipeline(text, { fileName: 'comporta.yaml', environment })
}

function problemsOf(text: string, environment: Record<string, string> = {}): readonly Problem[] {
  try {
    parse(text, environment)
  } catch (error) {
    assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
    return error.fields['problems'] as readonly Problem[]
  }
  return []
}

/** `line:column path`, the part of a problem that does not depend on wording. */
function placesOf(text: string, environment: Record<string, string> = {}): string[] {
  return problemsOf(text, environment).map(({ place, path }) => `${place?.line}:${place?.column} ${path}`)
}

const minimal = `name: orders
kafka: { bootstrapServers: "127.0.0.1:9092" }
`

test('a minimal file gets its defaults', () => {
  const pipeline = parse(minimal)
  assert.equal(pipeline.name, 'orders')
  assert.deepEqual(pipeline.kafka.bootstrapServers, ['127.0.0.1:9092'])
  assert.equal(pipeline.kafka.isEmbedded, false)
  assert.equal(pipeline.kafka.requestTimeoutMs, 30_000)
  assert.equal(pipeline.dispatcher, undefined)
})

test('the file that init writes is sound and uses the embedded broker', () => {
  const pipeline = parse(PIPELINE_TEMPLATE)
  assert.equal(pipeline.kafka.isEmbedded, true)
  assert.deepEqual(pipeline.kafka.bootstrapServers, ['127.0.0.1:9092'])
  assert.deepEqual(pipeline.dispatcher?.topics, ['mt-c400', 'mt-c300'])
})

test('the file that init writes moves to a real cluster by one variable', () => {
  const pipeline = parse(PIPELINE_TEMPLATE, { KAFKA_BOOTSTRAP: 'b-1.msk:9098, b-2.msk:9098' })
  assert.equal(pipeline.kafka.isEmbedded, false)
  assert.deepEqual(pipeline.kafka.bootstrapServers, ['b-1.msk:9098', 'b-2.msk:9098'])
})

test('every problem is listed at once, each at its line', () => {
  const text = `name: Trucks
kafka:
  bootstrapServers: nowhere
producer:
  sources:
    - type: http
      prot: 8080
    - type: generator
      records: -4
  route: { topic: t }
  deadLetterTopic: dead
dispatcher:
  topics: [a, dead]
  deadLetterTopic: dead
  batch: { recordsmax: 5, ageMs: soon }
  target: { type: http, url: "ftp://x" }
`
  assert.deepEqual(placesOf(text), [
    '1:1 name',
    '3:3 kafka.bootstrapServers.0',
    '7:7 producer.sources.0.prot',
    '9:7 producer.sources.1.records',
    '12:1 dispatcher.groupId',

    '15:12 dispatcher.batch.recordsmax',
    '15:27 dispatcher.batch.ageMs',
    '16:25 dispatcher.target.url'
  ])
})

test('a misspelt setting is answered with the one that was meant', () => {
  const [problem] = problemsOf(`${minimal}dispacher: {}\n`)
  assert.equal(problem?.message, 'no such setting; did you mean dispatcher?')
})

test('a setting that is a number or a word is answered with both', () => {
  const [problem] = problemsOf(
    `${minimal}producer: { route: { topic: t }, deadLetterTopic: d, delivery: { lingerMs: adaptiv } }\n`
  )
  assert.equal(problem?.path, 'producer.delivery.lingerMs')
  assert.equal(problem?.message, 'Invalid input: expected number or "adaptive"')
})

test('a setting of another form of its section is told from one that nobody knows', () => {
  const text = `${minimal}producer:
  route: { field: codigo, topics: { t: [1] } }
  sources: [{ type: file, path: x, formt: json }]
  key: { strategy: none, fields: [codigo] }
  deadLetterTopic: dead
`
  const problems = problemsOf(text)
  assert.deepEqual(
    problems.map(({ path, message }) => `${path}: ${message}`),
    [
      'producer.sources.0.formt: no such setting; did you mean format?',
      'producer.key.fields: does not go together with the settings beside it'
    ]
  )
})

test('rules between settings are checked although another section is broken', () => {
  const text = `name: BROKEN
kafka: { bootstrapServers: "127.0.0.1:9092" }
dispatcher:
  groupId: g
  topics: [a, dead]
  deadLetterTopic: dead
  heartbeatIntervalMs: 20000
  target: { type: http, url: "http://127.0.0.1:1" }
`
  assert.deepEqual(placesOf(text), ['1:1 name', '6:3 dispatcher.deadLetterTopic', '7:3 dispatcher.heartbeatIntervalMs'])
})

test('retry topics keep the order of keys, not that of a partition, and wait longer from one to the next', () => {
  const needed = 'groupId: g, topics: [a], deadLetterTopic: dead, target: { type: http, url: "http://x" }'
  const dispatcher = (rest: string): string => `${minimal}dispatcher: { ${needed}, ${rest} }\n`
  assert.match(
    problemsOf(dispatcher('retry: { delays: [1000] }'))[0]?.message ?? '',
    /keep the order of keys.*choose order: key \(or retry.order: none/
  )
  assert.match(problemsOf(dispatcher('order: key, retry: { delays: [1000, 1000] }'))[0]?.message ?? '', /must ascend/)
  for (const rest of ['order: key, retry: { delays: [1000, 2000] }', 'retry: { delays: [1000], order: none }']) {
    assert.deepEqual(problemsOf(dispatcher(rest)), [])
  }
})

test('one value of a field cannot go to two topics', () => {
  const route = 'route: { field: f, topics: { a: [1, x], b: ["1"] } }'
  const [problem] = problemsOf(`${minimal}producer: { ${route}, deadLetterTopic: dead }\n`)
  assert.match(problem?.message ?? '', /^the value 1 already goes to a$/)
})

test('a function that is called must exist, a target that is routed to must be there, a header must be one', () => {
  const text = `${minimal}
dispatcher:
  groupId: g
  topics: [a]
  deadLetterTopic: dead
  target: { type: lambda, functionName: absent }
lambda:
  functions:
    present:
      handler: builtin:distributor
      distributor: { targets: { one: "http://127.0.0.1:1" }, routes: [{ values: [1], targets: [two] }] }
    headed:
      handler: builtin:distributor
      distributor: { targets: { a: { type: http, url: "http://127.0.0.1:1", headers: { "a b": c, ok: { env: X } } } } }
`
  assert.deepEqual(placesOf(text), [
    '8:27 dispatcher.target.functionName',
    '13:86 lambda.functions.present.distributor.routes.0.targets',
    '16:88 lambda.functions.headed.distributor.targets.a.headers.a b'
  ])
})

test('variables are replaced, with defaults, and never change the structure of the file', () => {
  const text = 'name: ${NAME:-orders}\nkafka: { bootstrapServers: "${HOST:-localhost}:${PORT}" }\n'
  assert.deepEqual(parse(text, { PORT: '9094' }).kafka.bootstrapServers, ['localhost:9094'])
  const hostile = problemsOf('name: ${NAME}\nkafka: { bootstrapServers: "a:1" }\n', { NAME: 'x\nlambda: {}' })
  assert.deepEqual(
    hostile.map(problem => problem.path),
    ['name']
  )
})

test('a variable that is not set and has no default is a problem with its line', () => {
  assert.deepEqual(placesOf('name: orders\nkafka:\n  bootstrapServers: ${ABSENT}\n'), ['3:21 '])
})

test('a variable gives a number where a number is wanted and its very text where a string is', () => {
  const text = `name: orders
kafka:
  bootstrapServers: "127.0.0.1:9092"
  requestTimeoutMs: \${TIMEOUT}
  sasl: { mechanism: PLAIN, username: u, password: "\${PASSWORD}" }
`
  const { kafka } = parse(text, { TIMEOUT: '5000', PASSWORD: '0123' })
  assert.equal(kafka.requestTimeoutMs, 5000)
  assert.deepEqual(kafka.sasl, { mechanism: 'PLAIN', username: 'u', password: '0123' })
})

test('the environment overrides any setting, and its mistakes name the variable', () => {
  const environment = {
    COMPORTA_DISPATCHER__BATCH__RECORDS_MAX: '7',
    COMPORTA_TOPICS__MT_C400__PARTITIONS: '24',
    COMPORTA_PRODUCER__SOURCES__0__PORT: '8888',
    COMPORTA_KAFKA__BOOTSTRAP_SERVERS: '[a:1, b:2]',
    COMPORTA_LOG_LEVEL: 'debug'
  }
  const pipeline = parse(PIPELINE_TEMPLATE, environment)
  assert.equal(pipeline.dispatcher?.batch.recordsMax, 7)
  assert.equal(pipeline.topics['mt-c400']?.partitions, 24)
  const [source] = pipeline.producer?.sources ?? []
  assert.equal(source?.type === 'http' ? source.port : undefined, 8888)
  assert.deepEqual(pipeline.kafka.bootstrapServers, ['a:1', 'b:2'])
  const [problem] = problemsOf(PIPELINE_TEMPLATE, { COMPORTA_DISPATCHER__BATCH__RECORDS_MAX: 'many' })
  assert.match(problem?.message ?? '', /COMPORTA_DISPATCHER__BATCH__RECORDS_MAX/)
})

test('text that is not YAML, alias bombs and duplicate keys are problems, not crashes', () => {
  assert.equal(placesOf('name: [\n').length > 0, true)
  assert.deepEqual(placesOf('name: a\nname: b\n'), ['2:1 '])
  const level = (n: number): string =>
    `l${n}: &l${n} [${Array(10)
      .fill(`*l${n - 1}`)
      .join(',')}]\n`
  const bomb = `l0: &l0 [x]\n${[1, 2, 3, 4, 5, 6, 7].map(level).join('')}`
  assert.match(problemsOf(bomb)[0]?.message ?? '', /alias/i)
  assert.equal(problemsOf('').length > 0, true)
  assert.equal(problemsOf('- a\n- b\n').length > 0, true)
})

test('a file that is not there is said so, with what to do', async () => {
  await assert.rejects(loadPipelineFile('/nonexistent/comporta.yaml', {}), error => {
    assert.ok(PipelineError.is(error, 'ERR_CONFIG_UNREADABLE'))
    assert.match(error.message, /comporta init/)
    return true
  })
})

test('secrets never appear in problems', () => {
  const text = 'name: X\nkafka: { bootstrapServers: "a:1", sasl: { mechanism: PLAIN, password: "${PW}" } }\n'
  const messages = problemsOf(text, { PW: 'hunter2-secret' }).map(problem => problem.message)
  assert.equal(
    messages.some(message => message.includes('hunter2')),
    false
  )
})

test('a target is not given up before its function is', () => {
  const text = `${minimal}dispatcher:
  groupId: g
  topics: [t]
  deadLetterTopic: dead
  target: { type: lambda, functionName: slow }
lambda: { functions: { slow: { handler: ./slow.mjs, timeoutMs: 60000 } } }
`
  assert.deepEqual(placesOf(text), ['7:3 dispatcher.target.timeoutMs'])
  assert.deepEqual(placesOf(text, { COMPORTA_DISPATCHER__TARGET__TIMEOUT_MS: '60001' }), [])
  assert.deepEqual(placesOf(text.replace('60000', '59999')), [])
})

test('what the parts would refuse at their start is refused with its line', () => {
  const text = `${minimal}dispatcher:
  groupId: g
  topics: [t]
  deadLetterTopic: d
  target:
    type: http
    url: http://127.0.0.1:1/
    headers: { "content-length": "5", "a b": x, good: "a\\nb" }
lambda:
  functions:
    none:
      handler: builtin:distributor
      timeoutMs: 200
      distributor: { targets: {} }
    named:
      handler: builtin:distributor
      distributor: { targets: { "two words": "http://127.0.0.1:1" } }
    other:
      handler: builtin:echo
`
  assert.deepEqual(placesOf(text), [
    '10:16 dispatcher.target.headers.content-length',
    '10:39 dispatcher.target.headers.a b',
    '10:49 dispatcher.target.headers.good',
    '16:22 lambda.functions.none.distributor.targets',
    '19:33 lambda.functions.named.distributor.targets.two words'
  ])
  const late = `${minimal}lambda:
  functions:
    one:
      handler: builtin:distributor
      timeoutMs: 269
      distributor: { targets: { a: "http://127.0.0.1:1" } }
    other: { handler: builtin:echo }
`
  assert.deepEqual(placesOf(late), ['7:7 lambda.functions.one.timeoutMs', '9:14 lambda.functions.other.handler'])
  assert.deepEqual(placesOf(`${minimal}lambda: { functions: {} }\n`), ['3:11 lambda.functions'])
})

test('a level for a room that no line names is refused with its place', () => {
  // It changed nothing, and nobody noticed the wrong word.
  const text = 'name: a\nkafka: { bootstrapServers: embedded }\ntelemetry: { logs: { rooms: { dispatchr: debug } } }\n'
  assert.throws(
    () => parsePipeline(text, { fileName: 'comporta.yaml', environment: {} }),
    /comporta\.yaml:3:31 telemetry\.logs\.rooms\.dispatchr: no such setting/
  )
})
