/** The table "Every outcome" of docs/reference/outcomes.md, held against what the targets and the settlement do. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

import { SeededRandom } from '../../src/core/index.ts'
import { Settlement } from '../../src/dispatcher/settlement.ts'
import {
  functionErrorOutcome,
  HttpTarget,
  ModuleTarget,
  readReplyText,
  serviceErrorOutcome,
  type TargetOutcome
} from '../../src/targets/index.ts'
import { networkOutcome } from '../../src/targets/failures.ts'
import { batchOf, never, serve } from '../targets/support.ts'

interface Row {
  readonly what: string
  readonly outcome: string
  readonly costsAttempt: boolean
  readonly end: string
}

function readTable(): Row[] {
  const file = path.join(import.meta.dirname, '../../docs/reference/outcomes.md')
  const [, section = ''] = readFileSync(file, 'utf8').split('## Every outcome\n')
  const lines = (section.split('\n## ')[0] ?? '').split('\n').filter(line => line.startsWith('| '))
  return lines.slice(2).map(line => {
    const [, what = '', outcome = '', costs = '', end = ''] = line.split('|').map(cell => cell.trim())
    assert.match(costs, /^(yes|no)$/)
    return { what, outcome: outcome.replaceAll('`', ''), costsAttempt: costs === 'yes', end }
  })
}

const systemError = (code: string): Error => Object.assign(new Error(code), { code })
const functionError = (errorType: string): TargetOutcome =>
  functionErrorOutcome(JSON.stringify({ errorType, errorMessage: 'it failed' }))
const serviceError = (name: string, httpStatusCode: number): TargetOutcome =>
  serviceErrorOutcome(Object.assign(new Error(name), { name, $metadata: { httpStatusCode } }), 0)
const reply = (text: string): TargetOutcome => readReplyText(text, { topic: 't', partition: 3 })
const failure = (fields: object): TargetOutcome => reply(JSON.stringify({ failures: [{ offset: 7, ...fields }] }))
const item = (itemIdentifier: unknown): TargetOutcome =>
  reply(JSON.stringify({ batchItemFailures: [{ itemIdentifier }] }))
const thrown = async (error: unknown): Promise<TargetOutcome> => {
  const target = new ModuleTarget({ name: 'm', handler: () => Promise.reject(error) })
  return await target.invoke(batchOf(), never)
}

/** What each row stands for; rows of HTTP statuses are sent to a server. */
const CASES: Record<string, () => readonly (TargetOutcome | Promise<TargetOutcome>)[]> = {
  'connection refused, no such host, no route, certificate expired, connect time-out': () =>
    ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'CERT_HAS_EXPIRED', 'ERR_HTTP_CONNECT_TIMEOUT'].map(code =>
      networkOutcome(systemError(code))
    ),
  'connection cut, no answer in time': () =>
    ['ECONNRESET', 'EPIPE', 'ECONNABORTED'].map(code => networkOutcome(systemError(code))),
  'Lambda: success': () => [reply('null'), reply('"done"'), reply('')],
  'Lambda: Unhandled, any error of the function’s own': () => ['Unhandled', 'TypeError', 'MyError'].map(functionError),
  'Lambda: time-out, out of memory, exit, Sandbox.Failure, a module missing as an Error': () => [
    ...['Sandbox.Timedout', 'Runtime.OutOfMemory', 'Runtime.ExitError', 'Sandbox.Failure'].map(functionError),
    functionErrorOutcome('{"errorMessage":"2026-01-01T00:00:00.000Z 1 Task timed out after 3.00 seconds"}'),
    functionErrorOutcome(`{"errorType":"Error","errorMessage":"Cannot find module '/var/task/a.mjs'"}`)
  ],
  'Lambda: module missing, handler missing, syntax error, extension crash': () =>
    ['Runtime.ImportModuleError', 'Runtime.HandlerNotFound', 'Runtime.UserCodeSyntaxError', 'Extension.Crash'].map(
      functionError
    ),
  'Lambda: answer too large': () => [functionError('Function.ResponseSizeTooLarge')],
  'Lambda: 429 throttled, 500, 502, 503 of the service': () => [
    serviceError('TooManyRequestsException', 429),
    serviceError('ServiceException', 500),
    serviceError('EC2UnexpectedException', 502),
    serviceError('ServiceUnavailable', 503)
  ],
  'Lambda: 413': () => [serviceError('RequestTooLargeException', 413)],
  'Lambda: 400 invalid content, 415': () => [
    serviceError('InvalidRequestContentException', 400),
    serviceError('UnsupportedMediaTypeException', 415)
  ],
  'Lambda: 403, 404, 409': () => [
    serviceError('AccessDeniedException', 403),
    serviceError('ResourceNotFoundException', 404),
    serviceError('ResourceConflictException', 409)
  ],
  'module throws': () => [thrown(new TypeError('no')), thrown('text')],
  'module throws with retriable': () => [thrown(Object.assign(new Error('later'), { retriable: true }))],
  'reply: retry': () => [failure({}), failure({ action: 'retry', retryAfterMs: 5 })],
  'reply: retry, unavailable': () => [failure({ unavailable: true })],
  'reply: retry, unavailable, suspect': () => [failure({ unavailable: true, suspect: true })],
  'reply: deadLetter': () => [failure({ action: 'deadLetter', reason: 'never' })],
  'reply: skip': () => [failure({ action: 'skip' })],
  'reply: empty list, null list, empty object, nothing': () =>
    ['{"batchItemFailures":[]}', '{"batchItemFailures":null}', '{"failures":[]}', '{}', ''].map(reply),
  'reply: AWS item, its record': () => [item({ partition: 't-3', offset: 7 })],
  'reply: unknown offset': () => [reply('{"failures":[{"offset":8}]}')],
  'reply: AWS item of an unknown offset': () => [item({ partition: 't-3', offset: 8 })],
  'reply: AWS item of another partition, text instead of an object, null, no list': () => [
    item({ partition: 't-4', offset: 7 }),
    item({ partition: 'u-3', offset: 7 }),
    item('t-3-7'),
    item(''),
    item(null),
    reply('{"batchItemFailures":{"itemIdentifier":7}}'),
    reply('{"failures":7}')
  ]
}

/** The outcome in the words of the table. */
function wordsOf(outcome: TargetOutcome): string {
  return outcome.kind === 'unavailable' && outcome.isSuspect === true ? 'unavailable, suspect' : outcome.kind
}

/** What becomes of one record that meets the same outcome again and again. */
function endOf(outcome: TargetOutcome, hasEvidence: boolean): { end: string; sends: number; errorClass?: string } {
  const lookup = { rowOf: (offset: bigint) => (offset === 7n ? 0 : -1), key: () => null }
  const policy = { attemptsMax: 3, backoff: { initialMs: 1, maxMs: 1 } }
  const settlement = new Settlement(1, { policy, random: new SeededRandom(1), lookup })
  settlement.begin(new Set())
  for (let sends = 1; sends <= 40; sends += 1) {
    const answeredSentMs = hasEvidence ? sends * 10 + 5 : Number.NEGATIVE_INFINITY
    const decision = settlement.apply(outcome, { nowMs: sends * 10, answeredSentMs })
    const [dead] = decision.deadRows
    if (dead !== undefined) return { end: 'aside', sends, errorClass: dead.errorClass }
    if (decision.deliveredCount === 1) return { end: 'delivered', sends }
    if (decision.skippedCount === 1) return { end: 'skipped', sends }
  }
  return { end: 'waits', sends: 40 }
}

/** Error classes that go past the retry topics. */
const FINAL = new Set(['TargetVerdict', 'PayloadTooLarge'])

function judge(row: Row, outcome: TargetOutcome): void {
  const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value)
  const text = `${row.what}: ${JSON.stringify(outcome, plain)}`
  assert.equal(wordsOf(outcome), row.outcome, text)
  const { end, sends, errorClass = '' } = endOf(outcome, false)
  const aside = `${FINAL.has(errorClass) ? 'dead letter' : 'put aside'} after ${sends}`
  const words = end === 'aside' ? aside : end
  const onEvidence = endOf(outcome, true).end
  assert.equal(words === 'waits' && onEvidence === 'aside' ? 'waits; put aside on evidence' : words, row.end, text)
  assert.equal(row.costsAttempt, end === 'aside', text)
}

test('every row of the table of outcomes is what targets and settlement do', async t => {
  const rows = readTable()
  const statusOf = { current: 200 }
  const server = await serve(t, (_received, response) => response.writeHead(statusOf.current).end())
  const target = new HttpTarget({ url: server.url })
  t.after(() => target.close())
  const walked = new Set<string>()
  for (const row of rows) {
    if (row.what.startsWith('HTTP ')) {
      for (const status of row.what.replace('HTTP ', '').split(', ')) {
        statusOf.current = Number(status)
        judge(row, await target.invoke(batchOf(), never))
      }
      continue
    }
    const outcomes = CASES[row.what.replaceAll("'", '’')]
    assert.ok(outcomes !== undefined, `no test stands behind the row "${row.what}"`)
    walked.add(row.what.replaceAll("'", '’'))
    for (const outcome of outcomes()) judge(row, await outcome)
  }
  assert.deepEqual(
    Object.keys(CASES).filter(what => !walked.has(what)),
    [],
    'cases without a row'
  )
  assert.ok(rows.length > 25)
})
