/** What AWS would refuse in the mappings of a pipeline file. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { loadPipeline } from '../../src/cli/context.ts'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { PipelineError } from '../../src/core/index.ts'
import { temporaryFolder } from '../support/comporta.ts'

test('what AWS would refuse is said with its line, and nothing starts', async t => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'comporta.yaml')
  writeFileSync(
    file,
    `name: orders
kafka: { bootstrapServers: ["127.0.0.1:1"] }
eventSourceMappings:
  - functionName: orders
    topic: orders
    retriesMax: 3
    batchingWindowMs: 250
  - functionName: orders
    topic: orders
    onFailure: kafka://orders
    filters: [{ key: [a] }]
`
  )
  const error: unknown = await loadPipeline({ file }).catch((reason: unknown) => reason)
  assert.ok(PipelineError.is(error, 'ERR_CONFIG_INVALID'))
  assert.equal(exitCodeOf(error), 78)
  const { message } = error
  assert.match(message, /6.*retriesMax.*Unsupported 'maximumRetryAttempts' parameter/)
  assert.match(message, /7.*batchingWindowMs.*whole seconds/)
  assert.match(message, /10.*onFailure.*is the topic that the mapping reads/)
  assert.match(message, /11.*filters.*by the field value only/)
})
