/** What a person at a terminal sees, and may answer. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

import { confirmByTyping } from '../../src/cli/confirm.ts'
import { planText } from '../../src/cli/operations/run-change.ts'
import { tableOf } from '../../src/cli/operations/table.ts'
import { temporaryFolder } from '../support/comporta.ts'

/** The name of a group that clears the screen, and writes a line of its own. */
const HOSTILE = 'g\u001b[2J\u009b1m\nblocked: no\u202e'

function terminal(): PassThrough & { isTTY: boolean } {
  return Object.assign(new PassThrough(), { isTTY: true })
}

test('a change goes on when its word is typed; Ctrl-C and Ctrl-D are a no, and no crash', async () => {
  for (const [typed, isConfirmed] of [
    ['billing\r', true],
    ['bill\r', false],
    ['\u0003', false],
    ['bil\u0003', false],
    ['\u0004', false]
  ] as const) {
    const input = terminal()
    const answer = confirmByTyping('billing', { input, output: terminal() })
    input.write(typed)
    assert.equal(await answer, isConfirmed, JSON.stringify(typed))
  }
})

test('names that others have made up do not reach the terminal as commands', async () => {
  const table = tableOf([{ title: 'group', text: (name: string) => name }], [HOSTILE])
  assert.equal(table, 'group\ng\\e[2J\\u009b1m\\nblocked: no\\u202e\n')
  const text = planText({
    kind: 'offsets',
    confirmWord: HOSTILE,
    summary: `Delete: 1 offset of group ${HOSTILE}.`,
    effects: [{ what: HOSTILE, before: '1', after: '–', note: HOSTILE }],
    warnings: [HOSTILE],
    blockers: [HOSTILE],
    undo: { kind: 'impossible', reason: HOSTILE }
  })
  // oxlint-disable-next-line no-control-regex -- what must not be there
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|^blocked: no/m)
  const output = terminal()
  const input = terminal()
  const answer = confirmByTyping(HOSTILE, { input, output })
  input.write('g\\e[2J\\u009b1m\\nblocked: no\\u202e\r')
  assert.equal(await answer, true)
  assert.ok(!String(output.read()).includes(HOSTILE))
})

test('a reader that goes away ends a command that prints, without a word', async t => {
  const command = new URL('../../bin/comporta.js', import.meta.url).pathname
  const child = spawn(process.execPath, [command, 'undo'], {
    cwd: temporaryFolder(t),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  child.stdout.destroy()
  const [stderr, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'close')])
  assert.deepEqual([stderr, exitCode], ['', 141])
})
