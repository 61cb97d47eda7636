import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { runProcess } from '../support/child-process.ts'

test('the example publishes from a stream and over HTTP, and loses nothing', async () => {
  const example = join(import.meta.dirname, '../../examples/producer/publish.ts')
  const { stdout } = await runProcess(process.execPath, [example])
  assert.deepEqual(stdout.trim().split('\n'), [
    'stream: 3 events, all safe',
    'http: 202 {"accepted":1,"deadLettered":0}',
    'drained: true, delivered 3, dead-lettered 1'
  ])
})

test('the example of a source of one’s own goes on where it stopped', async () => {
  const example = join(import.meta.dirname, '../../examples/producer/own-source.ts')
  const { stdout } = await runProcess(process.execPath, [example])
  assert.deepEqual(stdout.trim().split('\n'), ['first run: 5 events, no error', 'second run: 2 events, no error'])
})
