/** What a log line loses, and what it keeps. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createLogger, type LogFields } from '../../src/telemetry/index.ts'
import { redactLine } from '../../src/telemetry/logger-redaction.ts'

test('what looks like a secret is taken out, wherever it stands in a line', () => {
  const lines: string[] = []
  const logger = createLogger({ destination: { write: line => void lines.push(line) } })
  const say = (fields: LogFields, message: string): string => {
    logger.info(fields, message)
    return lines.at(-1) ?? ''
  }

  const planted = [
    say({ url: 'https://joe:s3cr3t@host:443/path?x=1' }, 'connect to amqp://u:s3cr3t@other failed'),
    say({ sasl: { password: 's3cr3t', username: 'joe' }, clientSecret: 's3cr3t', access_token: 's3cr3t' }, ''),
    say({ headers: { Authorization: 'Bearer s3cr3t-s3cr3t', 'x-api-key': 's3cr3t', cookie: 's3cr3t"x' } }, ''),
    say({ error: 'answer 401 to Authorization: Basic czNjcjN0OnMzY3IzdA== s3' }, 'password=s3cr3t; token=s3cr3t&x=1'),
    say({ function: 'f' }, JSON.stringify({ level: 'INFO', clientSecret: 's3cr3t', records: 3 })),
    say({ jaas: 'username="joe" password="s3cr3t";' }, 'https://bucket/key?X-Amz-Signature=s3cr3t&x=1')
  ]

  for (const line of planted) {
    assert.doesNotMatch(line, /s3cr3t|czNjcjN0/)
    assert.doesNotThrow(() => JSON.parse(line) as unknown, line)
  }
  assert.match(planted[0] ?? '', /"https:\/\/\*\*\*@host:443\/path\?x=1"/)
  assert.match(planted[1] ?? '', /"username":"joe"/)
})

test('a line without secrets stays as it is, byte for byte', () => {
  for (const line of [
    '{"level":30,"topic":"a@b","partition":3,"firstOffset":"12","key":1,"msg":"tokens per second: 3"}',
    '{"tokenEndpoint":"https://idp/token","signature":"none given","error":"mail to a@b.c"}',
    '{"msg":"basic is a mechanism; bearer is, too","sigma":1,"tokenCount":7}'
  ]) {
    assert.equal(redactLine(line), line)
  }
})

test('a long line of somebody else takes no longer than its length', () => {
  for (const text of ['a.', 'a', 'password', '://', '"token', 'x:/', 'bearer ', '\\']) {
    const line = JSON.stringify({ token: text.repeat(Math.ceil(200_000 / text.length)) })
    const startMs = performance.now()
    redactLine(line.slice(10))
    // Quadratic would be minutes.
    assert.ok(performance.now() - startMs < 1000, text)
  }
})

test('a room has a level of its own, and so has what comes from its logger', () => {
  const lines: string[] = []
  const logger = createLogger({
    level: 'warn',
    rooms: { dispatcher: 'debug', client: 'silent' },
    destination: { write: line => void lines.push((JSON.parse(line) as { msg: string }).msg) }
  })

  logger.info({}, 'root info')
  logger.warn({}, 'root warn')
  const room = logger.child({ room: 'dispatcher' })
  room.debug({}, 'dispatcher debug')
  room.child({ group: 'g' }).debug({}, 'group debug')
  logger.child({ room: 'client' }).error({}, 'client error')
  logger.child({ room: 'targets' }).info({}, 'targets info')
  logger.child({ room: 'toString' }).info({}, 'no room')
  logger.child({ partition: 1 }).info({}, 'plain child')

  assert.deepEqual(lines, ['root warn', 'dispatcher debug', 'group debug'])
})
