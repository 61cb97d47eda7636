import assert from 'node:assert/strict'
import { test } from 'node:test'

import { producerConfig, type ProducerInput } from '../../src/config/index.ts'
import { messageOf } from '../../src/core/index.ts'

function problemsOf(sources: ProducerInput['sources']): string {
  try {
    producerConfig({ sources, route: { topic: 'events' }, deadLetterTopic: 'dead' })
    return ''
  } catch (error) {
    return messageOf(error)
  }
}

test('sources of lines that do not go together are refused', () => {
  const state = { file: 'position' }
  assert.equal(problemsOf([{ type: 'directory', path: 'in', state }]), '')
  assert.match(problemsOf([{ type: 'directory', path: 'in' }]), /`whenSafe: keep` needs `state`/)
  assert.match(problemsOf([{ type: 'directory', path: 'in', whenSafe: 'move' }]), /`whenSafe: move` needs `moveTo`/)
  const moving = { type: 'directory', path: 'in', whenSafe: 'delete', moveTo: 'done' } as const
  assert.match(problemsOf([moving]), /goes with `whenSafe: move` only/)
  const two = problemsOf([
    { type: 'file', path: 'a', state },
    { type: 'follow', path: 'b', state: { file: './position' } }
  ])
  assert.match(two, /is the state file of sources\[0\], too: each needs its own/)
  assert.match(problemsOf([{ type: 'syslog', messageBytesMax: 100 }]), /messageBytesMax/)
  assert.match(problemsOf([{ type: 'file', path: 'a', state: { file: '', intervalMs: 1 } }]), /state/)
})
