import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import { type SyslogFrame, SyslogFramer } from '../../src/producer/sources/syslog/syslog-framer.ts'
import { readSyslog } from '../../src/producer/sources/syslog/syslog-message.ts'

const BOM = '\uFEFF'

function read(message: string | Buffer): Record<string, unknown> {
  const reading = readSyslog(Buffer.from(message), '192.0.2.1')
  assert.equal(reading.kind, 'event', reading.kind === 'malformed' ? reading.reason : '')
  return JSON.parse((reading as { readonly json: string }).json) as Record<string, unknown>
}

function reasonOf(message: string | Buffer): string {
  const reading = readSyslog(Buffer.from(message), '192.0.2.1')
  return reading.kind === 'malformed' ? reading.reason : `an event: ${reading.json}`
}

// RFC 5424, section 6.5.
test('the examples of RFC 5424 are read', () => {
  assert.deepEqual(
    read(
      `<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - ` +
        `${BOM}'su root' failed for lonvick on /dev/pts/8`
    ),
    {
      format: 'rfc5424',
      pri: 34,
      facility: 4,
      severity: 2,
      version: 1,
      timestamp: '2003-10-11T22:14:15.003Z',
      hostname: 'mymachine.example.com',
      appname: 'su',
      procid: null,
      msgid: 'ID47',
      structuredData: {},
      message: "'su root' failed for lonvick on /dev/pts/8",
      from: '192.0.2.1'
    }
  )
  const second = read(
    "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts."
  )
  assert.deepEqual(
    [second['facility'], second['severity'], second['procid'], second['message']],
    [20, 5, '8710', "%% It's time to make the do-nuts."]
  )
  const third = read(
    '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 ' +
      `[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] ${BOM}An application event log entry...`
  )
  assert.deepEqual(third['structuredData'], {
    'exampleSDID@32473': { iut: '3', eventSource: 'Application', eventID: '1011' }
  })
  assert.equal(third['message'], 'An application event log entry...')
  const fourth = read(
    '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 ' +
      '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]'
  )
  assert.deepEqual(fourth['structuredData'], {
    'exampleSDID@32473': { iut: '3', eventSource: 'Application', eventID: '1011' },
    'examplePriority@32473': { class: 'high' }
  })
  assert.equal(fourth['message'], '')
})

// RFC 5424, section 6.2.3.1: which of these timestamps are valid.
test('timestamps are those of RFC 5424', () => {
  const valid = [
    '1985-04-12T23:20:50.52Z',
    '1985-04-12T19:20:50.52-04:00',
    '2003-10-11T22:14:15.003Z',
    '2024-02-29T00:00:00Z'
  ]
  for (const time of valid) assert.equal(read(`<0>1 ${time} - - - - -`)['timestamp'], time)
  const invalid = [
    '2003-08-24T05:14:15.000000003-07:00', // the RFC's own: more than six digits
    '2003-08-24t05:14:15Z',
    '2003-08-24T05:14:60Z',
    '2023-02-29T00:00:00Z',
    '2003-13-01T00:00:00Z',
    '2003-08-24T24:00:00Z',
    '2003-08-24T05:14:15',
    'yesterday'
  ]
  for (const time of invalid)
    assert.match(reasonOf(`<0>1 ${time} - - - - -`), /the timestamp is none of RFC 5424/, time)
})

test('structured data: escapes, repeated names, bytes that are not UTF-8, and names of JavaScript', () => {
  const { structuredData } = read(
    String.raw`<13>1 - - - - - [a b="\"x\" \] \\ \n" b="2" b="3"][__proto__ polluted="yes" constructor="é"] m`
  )
  assert.equal(
    JSON.stringify(structuredData),
    String.raw`{"a":{"b":["\"x\" ] \\ \\n","2","3"]},"__proto__":{"polluted":"yes","constructor":"é"}}`
  )
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  const latin1 = read(Buffer.from('<13>1 - - - - - [a b="\xe9"] caf\xe9', 'latin1'))
  assert.deepEqual(
    [latin1['message'], latin1['charset'], latin1['structuredData']],
    ['café', 'latin1', { a: { b: 'é' } }]
  )
})

test('what is no message says why, without its contents', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /does not begin with a priority/],
    ['hello', /does not begin with a priority/],
    ['<192>1 - - - - - -', /the priority is above 191/],
    ['<1234>1 - - - - - -', /does not begin with a priority/],
    ['<13>2 - - - - - -', /its version is 2, known is 1/],
    ['<13>1 - - -', /it ends behind the app name/],
    ['<13>1 - - - - -', /it ends behind the message id/],
    ['<13>1  - - - - -', /the timestamp is missing/],
    ['<13>1 - h\u00f6st - - - -', /the hostname is missing, or has other characters/],
    ['<13>1 - - - - - ', /the structured data is missing/],
    ['<13>1 - - - - - x', /the structured data is missing/],
    ['<13>1 - - - - - -x', /followed by something else than a blank/],
    ['<13>1 - - - - - [', /the id of structured data is missing/],
    ['<13>1 - - - - - [a', /has no end/],
    ['<13>1 - - - - - [a][a]', /is there twice/],
    ['<13>1 - - - - - [a b]', /not in quotes/],
    ['<13>1 - - - - - [a b="]"]', /a bracket that is not escaped/],
    ['<13>1 - - - - - [a b="c]', /has no end, or a bracket/],
    ['<13>1 - - - - - [a ="c"]', /a name in structured data is missing/]
  ]
  for (const [message, reason] of cases) assert.match(reasonOf(message), reason, message)
})

// RFC 3164, section 5.4, and what util-linux's logger writes.
test('messages of RFC 3164 are read as well as they can be', () => {
  const cases: readonly (readonly [string, readonly unknown[]])[] = [
    [
      "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
      ['Oct 11 22:14:15', 'mymachine', 'su', null, "'su root' failed for lonvick on /dev/pts/8"]
    ],
    ['<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!', ['Feb  5 17:32:18', '10.0.0.99', null, null, 'Use the BFG!']],
    ['<13>Nov 21 12:00:00 web-1 app[123]: hello', ['Nov 21 12:00:00', 'web-1', 'app', '123', 'hello']],
    ['<13>Nov 21 12:00:00 app[123]: local', ['Nov 21 12:00:00', null, 'app', '123', 'local']],
    ['<13>just text: with a colon', [undefined, null, null, null, 'just text: with a colon']],
    ['<0>', [undefined, null, null, null, '']]
  ]
  for (const [message, expected] of cases) {
    const { format, timestamp, timestampText, hostname, appname, procid, message: text } = read(message)
    assert.deepEqual([format, timestamp], ['rfc3164', null])
    assert.deepEqual([timestampText, hostname, appname, procid, text], expected, message)
  }
})

function framesOf(bytes: Buffer, sizes: () => number, isCut = false): SyslogFrame[] {
  const frames: SyslogFrame[] = []
  const framer = new SyslogFramer(100, frame => frames.push(frame))
  for (let at = 0; at < bytes.length;) {
    const size = Math.max(1, sizes())
    framer.push(bytes.subarray(at, at + size))
    at += size
  }
  framer.end(isCut)
  return frames
}

function texts(frames: readonly SyslogFrame[]): string[] {
  return frames.map(({ bytes, wholeBytes, problem }) => {
    const length = wholeBytes > bytes.length ? ` of ${wholeBytes}` : ''
    return `${bytes.toString('latin1')}${length}${problem === undefined ? '' : ` (${problem})`}`
  })
}

test('frames by octet count and by newline, mixed, in pieces of any size', () => {
  const long = 'x'.repeat(150)
  const input = `5 <1>ab<2>line\r\n7 <3>a\nbc\n\0${`${long}\n`}150 ${long}12abc\n<4>last`
  for (const size of [1, 2, 3, 7, 64, 10_000]) {
    assert.deepEqual(
      texts(framesOf(Buffer.from(input), () => size)),
      ['<1>ab', '<2>line', '<3>a\nbc', `${'x'.repeat(100)} of 150`, `${'x'.repeat(100)} of 150`, '12abc', '<4>last'],
      `pieces of ${size}`
    )
  }
  assert.deepEqual(texts(framesOf(Buffer.from('9 <1>ab'), () => 10)), [
    '<1>ab (the connection ended in the middle of the message)'
  ])
  assert.deepEqual(texts(framesOf(Buffer.from('<1>ab'), () => 10, true)), [
    '<1>ab (the connection ended in the middle of the message)'
  ])
  assert.match(texts(framesOf(Buffer.from('999999999 <1>ab'), () => 10))[0] ?? '', /announces more than/)
})

test('hostile bytes never throw, keep memory bounded, and make the same frames in any pieces', () => {
  const random = new SeededRandom(Number(process.env['TEST_SEED'] ?? 5424))
  const alphabet = [
    '<',
    '>',
    '1',
    '9',
    '3',
    ' ',
    '\n',
    '-',
    '[',
    ']',
    '"',
    '\\',
    '=',
    '\0',
    'é',
    'T',
    ':',
    'Jan 01 00:00:00 '
  ]
  for (let round = 0; round < 3000; round += 1) {
    let text = random.next() < 0.5 ? '<13>1 - h a p m ' : ''
    const length = Math.floor(random.next() * 60)
    for (let index = 0; index < length; index += 1) text += alphabet[Math.floor(random.next() * alphabet.length)] ?? ''
    const bytes = random.next() < 0.2 ? Buffer.from(text, 'latin1') : Buffer.from(text)
    const reading = readSyslog(bytes, 'somebody')
    if (reading.kind === 'event') assert.equal(typeof JSON.parse(reading.json), 'object')
    const whole = texts(framesOf(bytes, () => 10_000))
    const pieces = texts(framesOf(bytes, () => Math.floor(random.next() * 5)))
    assert.deepEqual(pieces, whole, JSON.stringify(text))
  }
})

/*
 * Symptom: one message of a megabyte keeps the process busy for minutes. Cause: the values of a name that comes again
 * were copied each time. Reach: whoever may send to a source with a large messageBytesMax.
 */
test('a name that comes a hundred thousand times takes time in proportion', () => {
  const count = 100_000
  const event = read(`<34>1 - - - - - [x${' a="b"'.repeat(count)}] m`)
  const data = event['structuredData'] as Record<string, Record<string, string[]>>
  assert.equal(data['x']?.['a']?.length, count)
})
