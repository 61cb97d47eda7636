/** Every mistake in routes, keys and checks has its message, at its line. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePipeline, type Problem, producerConfig, producerWarnings } from '../../src/config/index.ts'
import { PipelineError } from '../../src/core/index.ts'

const HEAD = `name: trucks
kafka: { bootstrapServers: "127.0.0.1:9092" }
producer:
  deadLetterTopic: dead
`

/** The problems of a producer section, as `line path: message`. */
function problemsOf(section: string): string[] {
  try {
    parsePipeline(HEAD + section, { fileName: 'comporta.yaml', environment: {} })
  } catch (error) {
    assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
    const problems = error.fields['problems'] as readonly Problem[]
    return problems.map(({ place, path, message }) => `${place?.line} ${path}: ${message}`)
  }
  return []
}

const rules = (...lines: string[]): string => `  route:\n    rules:\n${lines.map(line => `      - ${line}\n`).join('')}`

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  [
    'two targets',
    rules('{ topic: a, priority: high }'),
    /^7 producer\.route\.rules\.0: needs exactly one of topic, to/
  ],
  ['no target', rules('{ when: { fields: { a: [1] } } }'), /^7 producer\.route\.rules\.0: needs exactly one of/],
  ['no condition', rules('{ topic: a, when: {} }'), /^7 .*rules\.0\.when: names neither a field nor a pattern/],
  ['an empty list', rules('{ topic: a, when: { fields: { c: [] } } }'), /^7 .*when\.fields\.c: is empty/],
  [
    'an empty range',
    rules('{ topic: a, when: { fields: { c: [{ from: 2, to: 1 }] } } }'),
    /fields\.c\.0: the range 2 to 1 is/
  ],
  [
    'an odd range',
    rules('{ topic: a, when: { fields: { c: [{ from: 2, until: 1 }] } } }'),
    /from and to only, not until/
  ],
  [
    'an operator',
    rules('{ topic: a, when: { fields: { c: [{ prefx: a }] } } }'),
    /fields\.c\.0\.prefx: is no operator; there are: prefix, [a-z-, ]+, exists, and from, to/
  ],
  ['numeric', rules('{ topic: a, when: { fields: { c: [{ numeric: [">", 1] }] } } }'), /here a range does it/],
  ['a pattern', rules('{ topic: a, when: { value: { c: 5 } } }'), /when\.value\.c: must be a list of allowed values/],
  [
    'a priority',
    `${rules('{ priority: hihg }')}    priorities: { high: a }\n`,
    /no topic for the priority hihg; did you mean high\?/
  ],
  [
    'an unused priority',
    `${rules('{ topic: a }')}    priorities: { high: a }\n`,
    /^8 .*priorities\.high: no rule has this/
  ],
  [
    'a rule behind all',
    rules('{ name: all, topic: a }', '{ topic: b }'),
    /^8 .*rules\.1: is never reached: all takes every/
  ],
  [
    'otherwise behind all',
    `${rules('{ topic: a }')}    otherwise: b\n`,
    /^8 .*otherwise: is never reached: rule 1 takes/
  ],
  [
    'a name twice',
    rules('{ name: x, topic: a, when: { fields: { a: [1] } } }', '{ name: x, topic: a }'),
    /x is there twice/
  ],
  ['one weight', rules('{ to: [{ topic: a, weight: 1 }] }'), /^7 .*rules\.0\.to/],
  [
    'a topic twice',
    rules('{ to: [{ topic: a, weight: 1 }, { topic: a, weight: 2 }] }'),
    /rules\.0\.to: names a topic twice/
  ],
  ['no weight', rules('{ to: [{ topic: a, weight: 0 }, { topic: b, weight: 0 }] }'), /has no weight above 0/],
  [
    'a negative weight',
    rules('{ to: [{ topic: a, weight: -1 }, { topic: b, weight: 1 }] }'),
    /rules\.0\.to\.0\.weight/
  ],
  [
    'a split of another topic',
    '  route:\n    topic: mt-c400\n    split: { mt-c40: { field: c, heavy: [1], topics: { heavy: h, light: l } } }\n',
    /^7 producer\.route\.split\.mt-c40: no event is routed to mt-c40; did you mean mt-c400\?/
  ],
  [
    'one topic for both halves',
    '  route:\n    topic: t\n    split: { t: { field: c, heavy: [1], topics: { heavy: h, light: h } } }\n',
    /split\.t\.topics: heavy and light are the same topic/
  ],
  [
    'a split of nothing',
    '  route:\n    topic: t\n    split: { t: { field: c, topics: { heavy: h, light: l } } }\n',
    /split\.t\.heavy: is empty, and no detector with mode move fills it/
  ],
  [
    'a split by a key that is not there',
    '  route:\n    topic: t\n    split: { t: { heavy: [1], topics: { heavy: h, light: l } } }\n',
    /split\.t\.field: is missing: records have no key/
  ],
  [
    'a detector without a split',
    '  route: { topic: t, detector: { mode: move, field: c } }\n',
    /detector\.mode: move needs a split/
  ],
  [
    'too few counters',
    '  route: { topic: t, detector: { field: c, counters: 20 } }\n',
    /too few to tell a share of 0.05: at least 40/
  ],
  [
    'nothing to count',
    '  route: { topic: t, detector: {} }\n',
    /detector\.field: is missing: records have no key to count/
  ],
  [
    'another topic to watch',
    '  route: { topic: t, detector: { field: c, topics: [x] } }\n',
    /detector\.topics\.0: no event is routed to x/
  ],
  [
    'a template',
    "  route: { topic: t }\n  key: { strategy: template, template: '{a' }\n",
    /^6 producer\.key\.template: has a \{ without/
  ],
  [
    'a constant key',
    '  route: { topic: t }\n  key: { strategy: template, template: abc }\n',
    /names no field: every record would have/
  ],
  [
    'one sub-key',
    '  route: { topic: t }\n  key: { strategy: field, field: c, subKeys: { keys: [400], count: 1 } }\n',
    /^6 producer\.key\.subKeys\.count/
  ],
  [
    'sub-keys of nothing',
    '  route: { topic: t }\n  key: { strategy: none, subKeys: { keys: [400], count: 2 } }\n',
    /^6 producer\.key\.subKeys: does not go together with the settings beside it/
  ],
  [
    'a check of another topic',
    '  route: { topic: events }\n  validate: { topics: { event: { required: [a] } } }\n',
    /^6 producer\.validate\.topics\.event: no event is routed to event; did you mean events\?/
  ],
  [
    'two schemas',
    '  route: { topic: t }\n  validate: { topics: { t: { schema: {}, schemaFile: a.json } } }\n',
    /^6 producer\.validate\.topics\.t\.schemaFile: and schema exclude each other/
  ],
  [
    'an error topic for events',
    '  route: { topic: t }\n  validate:\n    errorTopic: t\n    topics: { t: { required: [a] } }\n',
    /^7 producer\.validate\.errorTopic: t is also a topic for events/
  ],
  [
    'a partitioner without a file',
    '  route: { topic: t }\n  partitioner: {}\n',
    /^6 producer\.partitioner\.file: is missing/
  ]
]

for (const [name, section, expected] of MISTAKES) {
  test(`a wrong route, key or check has its message and line: ${name}`, () => {
    const problems = problemsOf(section)
    assert.ok(
      problems.some(problem => expected.test(problem)),
      problems.join('\n')
    )
  })
}

test('what gives up order, or the place of keys, is sound and warned of', () => {
  const base = { route: { topic: 't' }, deadLetterTopic: 'dead' }
  assert.deepEqual(producerWarnings(producerConfig(base)), [])
  const subKeys = { keys: [400], count: 2 }
  const config = producerConfig({
    ...base,
    route: {
      topic: 't',
      split: { t: { field: 'c', topics: { heavy: 'h', light: 'l' } } },
      detector: { mode: 'move' }
    },
    key: { strategy: 'field', field: 'c', subKeys },
    partitioner: { file: 'p.mjs' }
  })
  const paths = producerWarnings(config).map(({ path }) => path.join('.'))
  assert.deepEqual(paths, ['producer.key.subKeys', 'producer.partitioner', 'producer.route.detector.mode'])
})
