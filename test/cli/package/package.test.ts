/** What `comporta lambda package` writes; `test/languages/aws-lambda.test.ts` shows that AWS's programs run it. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inflateRawSync } from 'node:zlib'

import { functionArchive } from '../../../src/cli/package/function-archive.ts'
import { functionPolicy } from '../../../src/cli/package/function-policy.ts'
import { packageDistributor } from '../../../src/cli/package/package-distributor.ts'
import { variablesIn } from '../../../src/cli/package/section-variables.ts'
import { parsePipeline, type PipelineConfig } from '../../../src/config/index.ts'
import { PipelineError } from '../../../src/core/index.ts'
import { temporaryFolder } from '../../support/comporta.ts'

const TEXT = `name: x
kafka: { bootstrapServers: embedded }
lambda:
  functions:
    own: { handler: ./own.mjs }
    distributor:
      handler: builtin:distributor
      distributor:
        targets:
          alerts: { type: http, url: "http://\${HOST}/", headers: { authorization: { env: ALERTS_TOKEN } } }
          queue: { type: sqs, queueUrl: "https://sqs.eu-west-1.amazonaws.com/123456789012/archive" }
        enrich: [{ into: driver, key: driver_id, from: { type: dynamoDb, table: drivers, partitionKey: id } }]
        idempotency: { store: { type: dynamoDb, table: claims, region: eu-west-1 } }
        observability: { traces: true }
        otherwise: [alerts, queue]
`

function pipeline(): PipelineConfig {
  return parsePipeline(TEXT, { fileName: 'x', environment: { HOST: '127.0.0.1' } })
}

/** Names and contents of an archive. Source: PKWARE APPNOTE 6.3, 4.3.7 and 4.3.12. */
function entriesOf(archive: Buffer): Record<string, string> {
  const entries: Record<string, string> = {}
  let at = archive.readUInt32LE(archive.lastIndexOf(Buffer.from('PK\x05\x06')) + 16)
  while (archive.readUInt32LE(at) === 0x02014b50) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map(offset => archive.readUInt16LE(at + offset))
    const name = archive.subarray(at + 46, at + 46 + (nameLength ?? 0)).toString()
    const local = archive.readUInt32LE(at + 42)
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28)
    const content = archive.subarray(start, start + archive.readUInt32LE(at + 20))
    entries[name] = (archive.readUInt16LE(at + 10) === 8 ? inflateRawSync(content) : content).toString()
    // Lambda unpacks as one user and runs as another: everybody must be able to read.
    assert.equal(archive.readUInt32LE(at + 38) >>> 16, 0o100_644)
    at += 46 + (nameLength ?? 0) + (extraLength ?? 0) + (commentLength ?? 0)
  }
  return entries
}

function bundle(t: TestContext): { readonly outDir: string; readonly bundleFile: string } {
  const outDir = temporaryFolder(t)
  const bundleFile = join(outDir, 'bundle.cjs')
  writeFileSync(bundleFile, 'exports.handler = () => ({})')
  return { outDir, bundleFile }
}

test('an archive holds its files, readable by everybody, and is the same for the same files', () => {
  const files: [string, Buffer][] = [
    ['index.js', Buffer.from('exports.handler = 1\n'.repeat(100))],
    ['a.json', Buffer.from('{}')]
  ]
  const archive = functionArchive(new Map(files))
  assert.deepEqual(entriesOf(archive), { 'a.json': '{}', 'index.js': 'exports.handler = 1\n'.repeat(100) })
  assert.deepEqual(functionArchive(new Map(files.toReversed())), archive)
})

test('the distributor is packed with its options, and names the variables that it needs', async t => {
  const made = await packageDistributor({ pipeline: pipeline(), name: 'distributor', ...bundle(t) })
  const entries = entriesOf(readFileSync(made.archive))
  assert.equal(entries['index.js'], 'exports.handler = () => ({})')
  const options = JSON.parse(entries['distributor.json'] ?? '') as { targets: unknown; otherwise: unknown }
  assert.deepEqual(options.otherwise, ['alerts', 'queue'])
  assert.deepEqual(Reflect.get(Object(options.targets), 'alerts'), {
    type: 'http',
    url: 'http://127.0.0.1/',
    headers: { authorization: { env: 'ALERTS_TOKEN' } }
  })
  assert.deepEqual(made.variables, ['ALERTS_TOKEN'])
})

test('the policy allows what targets, look-ups and claims need, and nothing for those outside AWS', () => {
  assert.deepEqual(functionPolicy(pipeline(), 'distributor'), {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['sqs:SendMessage'],
        Resource: ['arn:aws:sqs:eu-west-1:123456789012:archive']
      },
      { Effect: 'Allow', Action: ['dynamodb:BatchGetItem'], Resource: ['arn:aws:dynamodb:*:*:table/drivers'] },
      {
        Effect: 'Allow',
        Action: ['dynamodb:GetItem', 'dynamodb:PutItem'],
        Resource: ['arn:aws:dynamodb:eu-west-1:*:table/claims']
      },
      { Effect: 'Allow', Action: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], Resource: ['*'] }
    ]
  })
})

test('a variable that the file replaces is found, one that is only named is not', () => {
  assert.deepEqual(variablesIn(TEXT, ['lambda', 'functions', 'distributor']), ['HOST'])
  assert.deepEqual(variablesIn(TEXT, ['lambda', 'functions', 'own']), [])
  assert.deepEqual(variablesIn('a: { b: "$${X} ${Y:-1} ${Y}" }', ['a']), ['Y'])
  // Symptom: no word of a secret that went into the archive. Cause: aliases of YAML were not followed.
  assert.deepEqual(variablesIn('a: { b: &b { c: "${X}" } }\nd: { e: *b }', ['d']), ['X'])
  assert.deepEqual(variablesIn('a: { b: &b { c: "${X}" } }\nd: *b', ['d', 'c']), ['X'])
})

test('what cannot be packed is refused with what to do', async t => {
  const place = bundle(t)
  const codeOf = async (options: Partial<Parameters<typeof packageDistributor>[0]>): Promise<string> => {
    try {
      await packageDistributor({ pipeline: pipeline(), name: 'distributor', ...place, ...options })
    } catch (error) {
      assert.ok(PipelineError.is(error))
      return `${error.code}: ${error.message}`
    }
    return 'packed'
  }
  assert.match(await codeOf({ name: 'own' }), /^ERR_CLI_USAGE: own is a function of your own: bundle it .*esbuild/)
  assert.match(
    await codeOf({ name: 'other' }),
    /^ERR_CLI_USAGE: the pipeline file has no function other to pack; there is: distributor$/
  )
  assert.match(await codeOf({ bundleFile: join(place.outDir, 'none') }), /^ERR_CLI_INPUT: .*npm run build makes it$/)
  assert.match(await codeOf({ outDir: join(place.bundleFile, 'below') }), /^ERR_CLI_OUTPUT: cannot write /)
})
