import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'

import { PipelineError } from '../../src/core/index.ts'
import { createTarget, type ModuleContext, ModuleTarget } from '../../src/targets/index.ts'
import { batchOf, never } from './support.ts'

const baseDir = path.join(import.meta.dirname, 'functions')
const bodyOf = (what: string): Buffer => Buffer.from(JSON.stringify({ messages: [{ do: what }] }))

test('a handler of a file gets the parsed payload, and its reply counts', async () => {
  const target = await createTarget({ type: 'module', file: 'handler.ts', timeoutMs: 1000 }, { baseDir })
  const invoke = (what: string) => target.invoke(batchOf({ body: bodyOf(what) }), never)
  assert.equal(target.name, 'module:handler.ts')
  assert.deepEqual(await invoke('nothing'), { kind: 'ok' })
  assert.deepEqual(await invoke('partial'), {
    kind: 'partial',
    failures: [{ offset: 14n, action: 'skip', reason: 'old' }]
  })
  assert.deepEqual(await invoke('resume'), { kind: 'partial', failures: [], resumeFrom: 14n })
  assert.deepEqual(await invoke('throw'), { kind: 'rejected', reason: 'codigo is missing', errorClass: 'TypeError' })
  assert.deepEqual(await invoke('later'), { kind: 'unavailable', reason: 'busy', retryAfterMs: 250 })
  await target.close()
})

test('a handler is told which batch it has and when nobody waits any more', async () => {
  const seen: ModuleContext[] = []
  const target = new ModuleTarget({ name: 'm', handler: (_payload, context) => void seen.push(context) })
  const abort = new AbortController()
  await target.invoke(batchOf({ attempt: 4 }), abort.signal)
  const [context] = seen
  const { topic, partition, recordCount, attempt, idempotencyKey } = context ?? {}
  assert.deepEqual([topic, partition, recordCount, attempt, idempotencyKey], ['mt-c400', 3, 2, 4, 'g/mt-c400/3/12-14'])
  abort.abort()
  assert.equal(context?.signal.aborted, true)
})

test('whatever a handler throws is an outcome', async () => {
  for (const thrown of ['text', undefined, null, 5]) {
    const handler = (): never => {
      throw thrown
    }
    const outcome = await new ModuleTarget({ name: 'm', handler }).invoke(batchOf(), never)
    assert.equal(outcome.kind, 'rejected')
  }
})

test('a file that is not there or has no handler does not start', async () => {
  for (const file of ['absent.ts', 'no-handler.ts']) {
    await assert.rejects(createTarget({ type: 'module', file, timeoutMs: 1000 }, { baseDir }), error =>
      PipelineError.is(error, 'ERR_DISPATCHER_TARGET_INVALID')
    )
  }
})
