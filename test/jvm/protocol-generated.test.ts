/** The generated codecs are what the generator makes of Kafka's definitions: nobody edited them by hand. */

import { join } from 'node:path'
import { test } from 'node:test'
import { runProcess } from '../support/child-process.ts'

test("src/protocol/generated is what the generator writes from the definitions in Kafka's jars", async () => {
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'generate-protocol.ts')
  await runProcess(process.execPath, [script, '--check'], { timeoutMs: 150_000 })
})
