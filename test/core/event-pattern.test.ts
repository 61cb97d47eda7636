import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compileEventPattern } from '../../src/core/index.ts'

function matches(pattern: unknown, value: unknown): boolean {
  const problems: string[] = []
  const compiled = compileEventPattern(pattern, (path, message) => problems.push(`${path.join('.')}: ${message}`))
  assert.deepEqual(problems, [])
  return compiled(value)
}

function problemsOf(pattern: unknown): string[] {
  const problems: string[] = []
  const compiled = compileEventPattern(pattern, (path, message) => problems.push(`${path.join('.')}: ${message}`))
  if (problems.length > 0) assert.equal(compiled({ a: 1 }), false, 'a wrong pattern matches nothing')
  return problems
}

// The event and the examples of EventBridge's user guide, "Comparison operators for use in event patterns".
const cases: readonly [name: string, pattern: unknown, yes: readonly unknown[], no: readonly unknown[]][] = [
  ['null', { UserID: [null] }, [{ UserID: null }], [{ UserID: '' }, {}]],
  ['empty', { LastName: [''] }, [{ LastName: '' }], [{ LastName: null }, { LastName: ' ' }]],
  ['equals', { Name: ['Alice'] }, [{ Name: 'Alice', Age: 3 }], [{ Name: 'alice' }, { name: 'Alice' }]],
  ['equals, ignoring case', { Name: [{ 'equals-ignore-case': 'alice' }] }, [{ Name: 'ALICE' }], [{ Name: 'Al' }]],
  [
    'and',
    { Location: ['New York'], Day: ['Monday'] },
    [{ Location: 'New York', Day: 'Monday' }],
    [{ Location: 'New York', Day: 'Sunday' }, { Location: 'New York' }]
  ],
  ['or in a field', { PaymentType: ['Credit', 'Debit'] }, [{ PaymentType: 'Debit' }], [{ PaymentType: 'Cash' }]],
  [
    'or over fields',
    { $or: [{ Location: ['New York'] }, { Day: ['Monday'] }] },
    [{ Day: 'Monday' }, { Location: 'New York', Day: 'Sunday' }],
    [{ Location: 'Lisbon', Day: 'Sunday' }]
  ],
  [
    'anything but',
    { Weather: [{ 'anything-but': ['Raining'] }] },
    [{ Weather: 'Sunny' }, { Weather: 7 }],
    [{ Weather: 'Raining' }, {}]
  ],
  [
    'anything but a prefix',
    { Region: [{ 'anything-but': { prefix: 'us-' } }] },
    [{ Region: 'sa-east-1' }],
    [{ Region: 'us-east-1' }]
  ],
  [
    'anything but a list of suffixes',
    { FileName: [{ 'anything-but': { suffix: ['.png', '.gif'] } }] },
    [{ FileName: 'a.txt' }],
    [{ FileName: 'a.gif' }]
  ],
  ['a number', { Price: [{ numeric: ['=', 100] }] }, [{ Price: 100 }], [{ Price: '100' }, { Price: 101 }]],
  [
    'a range of numbers',
    { Price: [{ numeric: ['>', 10, '<=', 20] }] },
    [{ Price: 20 }, { Price: 10.1 }],
    [{ Price: 10 }, { Price: 20.5 }]
  ],
  ['exists', { ProductName: [{ exists: true }] }, [{ ProductName: null }], [{}]],
  ['does not exist', { ProductName: [{ exists: false }] }, [{}, 'text', null], [{ ProductName: 1 }]],
  ['begins with', { Region: [{ prefix: 'us-' }] }, [{ Region: 'us-east-2' }], [{ Region: 'eu-us-' }]],
  [
    'begins with, ignoring case',
    { service: [{ prefix: { 'equals-ignore-case': 'EventB' } }] },
    [{ service: 'EVENTBRIDGE' }],
    [{ service: 'bridge' }]
  ],
  ['ends with', { FileName: [{ suffix: '.png' }] }, [{ FileName: 'a.png' }], [{ FileName: 'png' }]],
  [
    'wildcard',
    { FileName: [{ wildcard: 'dir/*.png' }] },
    [{ FileName: 'dir/.png' }, { FileName: 'dir/a/b.png' }],
    [{ FileName: 'dir/a.gif' }, { FileName: 'dir.png' }]
  ],
  [
    'a wildcard whose pieces must not overlap',
    { name: [{ wildcard: 'ab*ba*ab' }] },
    [{ name: 'abbaab' }],
    [{ name: 'abab' }, { name: 'abaab' }]
  ],
  [
    'fields below fields',
    { vehicle: { code: [400, 401] } },
    [{ vehicle: { code: 401 } }],
    [{ vehicle: { code: '401' } }, { vehicle: 401 }, {}]
  ],
  ['a missing parent', { vehicle: { code: [{ exists: false }] } }, [{}, { vehicle: 1 }], [{ vehicle: { code: 1 } }]],
  ['a list in the event', { tags: ['b'] }, [{ tags: ['a', 'b'] }], [{ tags: ['a'] }, { tags: [] }]],
  [
    'fields that must match in one element',
    { items: { sku: ['x'], count: [{ numeric: ['>', 1] }] } },
    [{ items: [{ sku: 'x', count: 2 }] }],
    [
      {
        items: [
          { sku: 'x', count: 1 },
          { sku: 'y', count: 2 }
        ]
      }
    ]
  ],
  ['a plain value', [{ 'anything-but': ['error'] }], ['fine'], ['error']],
  ['a name that every object inherits', { constructor: [{ exists: true }] }, [{ constructor: 1 }], [{}]]
]

for (const [name, pattern, yes, no] of cases) {
  test(`event pattern: ${name}`, () => {
    for (const value of yes) assert.equal(matches(pattern, value), true, JSON.stringify(value))
    for (const value of no) assert.equal(matches(pattern, value), false, JSON.stringify(value))
  })
}

test('what is wrong with a pattern is told with its place', () => {
  assert.deepEqual(problemsOf({ a: 'x' }), [
    'a: must be a list of allowed values, for example ["a", {"prefix": "b"}], or an object of fields'
  ])
  assert.deepEqual(problemsOf({ a: [] }), ['a: is empty: nothing would ever match'])
  assert.deepEqual(problemsOf({}), [': names no field'])
  assert.deepEqual(problemsOf({ a: { b: [{ numeric: ['>'] }] } }), [
    'a.b.0.numeric: must be a list like [">", 10, "<=", 20]'
  ])
  assert.deepEqual(problemsOf({ a: [{ numeric: ['constructor', 1] }] }), [
    'a.0.numeric: must be a list like [">", 10, "<=", 20]'
  ])
  assert.deepEqual(problemsOf({ a: [{ begins: 'x' }], b: [{ exists: 'yes' }] }), [
    'a.0.begins: is no operator; there are: prefix, suffix, equals-ignore-case, wildcard, numeric, exists, ' +
      'anything-but',
    'b.0.exists: must be true or false'
  ])
  assert.deepEqual(problemsOf({ $or: [{ a: [1] }] }), ['$or: must be a list of at least two objects'])
  assert.deepEqual(problemsOf({ a: [{ prefix: 'x', suffix: 'y' }] }), ['a.0: must have exactly one operator'])
  let deep: unknown = ['x']
  for (let level = 0; level < 40; level += 1) deep = { a: deep }
  assert.match(problemsOf(deep)[0] ?? '', /at most 32 levels/)
})
