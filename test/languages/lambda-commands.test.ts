import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { startLambdaRuntime } from '../../src/lambda/index.ts'
import { runComporta, temporaryFolder } from '../support/comporta.ts'

test('functions of a running runtime are invoked, looked at and given trouble', async t => {
  const cwd = temporaryFolder(t)
  await writeFile(join(cwd, 'count.mjs'), 'export const handler = async event => Object.keys(event)')
  await writeFile(join(cwd, 'event.json'), '{"from":"a file"}')
  const runtime = await startLambdaRuntime({ taskRoot: cwd, functions: { count: { handler: 'count.handler' } } })
  t.after(() => runtime.close())
  await writeFile(
    join(cwd, 'comporta.yaml'),
    `name: x
kafka: { bootstrapServers: embedded }
lambda: { port: ${runtime.port}, functions: { count: { handler: count.handler } } }
`
  )
  const lambda = (...args: string[]): ReturnType<typeof runComporta> => runComporta(['lambda', ...args], { cwd })

  const [sample, absent, nowhere, bad] = await Promise.all([
    lambda('invoke', 'count', '--event', 'kafka', '--log'),
    lambda('invoke', 'absent', '--json'),
    lambda('status', '--port', '1', '--json'),
    lambda('fault', 'count', '--latency', 'slow')
  ])
  assert.deepEqual(JSON.parse(sample.stdout), ['eventSource', 'eventSourceArn', 'bootstrapServers', 'records'])
  assert.match(sample.stderr, /^START RequestId: [\s\S]*REPORT RequestId: /)
  assert.equal(absent.exitCode, 69)
  assert.equal(codeOf(absent.stderr), 'ERR_CLI_LAMBDA_REFUSED')
  assert.match(absent.stderr, /Function not found: arn:aws:lambda:/)
  assert.equal(nowhere.exitCode, 69)
  assert.equal(codeOf(nowhere.stderr), 'ERR_CLI_LAMBDA_UNREACHABLE')
  assert.match(nowhere.stderr, /http:\/\/127\.0\.0\.1:1:/)
  assert.equal(bad.exitCode, 64)
  assert.match(bad.stderr, /'slow' is invalid\. It is milliseconds: 830, or 120\/950\./)

  const fault = await lambda('fault', 'count', '--latency', '1/2', '--failures', '1', '--for', '5m')
  assert.match(fault.stdout, /^count: failureRatio 1, latency p50 1 ms, p99 2 ms until \d{4}-/)
  const [failed, status] = await Promise.all([lambda('invoke', 'count', '--payload', '@event.json'), lambda('status')])
  assert.equal(failed.exitCode, 1)
  assert.match(failed.stdout, /"errorType":"Runtime.InjectedFailure"/)
  assert.match(status.stdout, /^FUNCTION +BUSY[^\n]*\ncount +/)
})

function codeOf(stderr: string): string {
  return (JSON.parse(stderr) as { readonly error: { readonly code: string } }).error.code
}
