/** Our table of Kafka's errors against the enum of Kafka's own client: every name, code, and what is retried. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { KAFKA_ERRORS } from '../../src/protocol/index.ts'
import { runProcess } from '../support/child-process.ts'
import { javaArgs } from '../support/kafka-jvm.ts'

test('names, codes and verdicts are those of Kafka’s enum Errors', async () => {
  const program = join(import.meta.dirname, 'programs/ErrorTable.java')

  const { stdout } = await runProcess('java', [...(await javaArgs()), program])

  const theirs = stdout.trim().split('\n').toSorted()
  const ours = Object.entries(KAFKA_ERRORS).map(([name, { code, retriable, isMetadataStale }]) =>
    [name, code, retriable, isMetadataStale].join('\t')
  )
  assert.deepEqual(ours.toSorted(), theirs)
})
