/** Tokens of Amazon MSK's IAM: their shape and signature, without AWS. */

import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import { signMskToken } from '../../../src/cli/sasl/msk-token.ts'
import { systemClock } from '../../../src/core/index.ts'

const region = 'eu-west-1'
const mechanism = 'AWS_MSK_IAM'

/** Sets variables of the environment for one test: AWS's credential chain reads no others. */
function setEnvironment(t: TestContext, variables: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name]
    t.after(() => assign(name, before))
    assign(name, value)
  }
}

function assign(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

const isolated = {
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_SESSION_TOKEN: undefined,
  AWS_PROFILE: undefined,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/nowhere/config',
  AWS_SHARED_CREDENTIALS_FILE: '/nowhere/credentials'
}
const keyPair = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }

const urlOf = (token: string): URL => new URL(Buffer.from(token, 'base64url').toString())

/** The signature by AWS's recipe for query strings. Source: AWS, "Signature Version 4", presigned URLs. */
function signatureOf(url: URL, secretKey: string): string {
  const strict = (text: string): string =>
    encodeURIComponent(text).replaceAll(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  const query = [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature' && name !== 'User-Agent')
    .map(([name, value]) => `${strict(name)}=${strict(value)}`)
    .toSorted()
    .join('&')
  const emptyHash = createHash('sha256').update('').digest('hex')
  const canonical = ['GET', '/', query, `host:${url.host}\n`, 'host', emptyHash].join('\n')
  const date = url.searchParams.get('X-Amz-Date') ?? ''
  const scope = `${date.slice(0, 8)}/${region}/kafka-cluster/aws4_request`
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const keys = [date.slice(0, 8), region, 'kafka-cluster', 'aws4_request']
  const key = keys.reduce<Buffer>(
    (last, part) => createHmac('sha256', last).update(part).digest(),
    Buffer.from(`AWS4${secretKey}`)
  )
  return createHmac('sha256', key).update(text).digest('hex')
}

test('the token is a signed request to connect, valid for fifteen minutes', async t => {
  setEnvironment(t, { ...isolated, ...keyPair })
  const before = Date.now()
  const token = await signMskToken({ mechanism, region }, 'session', systemClock)
  assert.match(token.value, /^[A-Za-z0-9_-]+$/)
  const url = urlOf(token.value)
  assert.equal(url.origin, 'https://kafka.eu-west-1.amazonaws.com')
  const query = Object.fromEntries(url.searchParams)
  assert.equal(query['Action'], 'kafka-cluster:Connect')
  assert.equal(query['X-Amz-Algorithm'], 'AWS4-HMAC-SHA256')
  assert.match(query['X-Amz-Credential'] ?? '', /^AKIDEXAMPLE\/\d{8}\/eu-west-1\/kafka-cluster\/aws4_request$/)
  assert.equal(query['X-Amz-Expires'], '900')
  assert.equal(query['X-Amz-SignedHeaders'], 'host')
  assert.equal(query['X-Amz-Signature'], signatureOf(url, keyPair.AWS_SECRET_ACCESS_KEY))
  assert.match(query['User-Agent'] ?? '', /^aws-msk-iam-sasl-signer-js\//)
  assert.ok(token.startsAtMs >= before)
  assert.ok(Math.abs(token.expiresAtMs - before - 900_000) < 5_000)
})

test('a profile of the shared files signs', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'comporta-aws-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'credentials')
  writeFileSync(file, '[kafka]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = secret\n')
  setEnvironment(t, { ...isolated, AWS_SHARED_CREDENTIALS_FILE: file })
  const { value } = await signMskToken({ mechanism, region, profile: 'kafka' }, 'session', systemClock)
  assert.match(urlOf(value).searchParams.get('X-Amz-Credential') ?? '', /^AKIDPROFILE\//)
  await assert.rejects(signMskToken({ mechanism, region, profile: 'other' }, 'session', systemClock), {
    code: 'ERR_CLI_CREDENTIALS_UNREACHABLE',
    message: /no credentials of AWS to sign with: .*other/
  })
})

/** What AWS STS answers. */
function assumedRole(expiration: string): string {
  const element = (name: string, ...content: readonly string[]): string => `<${name}>${content.join('')}</${name}>`
  const user = element(
    'AssumedRoleUser',
    element('Arn', 'arn:aws:sts::123456789012:assumed-role/kafka/x'),
    element('AssumedRoleId', 'A:x')
  )
  const credentials = element(
    'Credentials',
    element('AccessKeyId', 'ASIAROLE'),
    element('SecretAccessKey', 's'),
    element('SessionToken', 'st'),
    element('Expiration', expiration)
  )
  const result = element('AssumeRoleResult', user, credentials)
  return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</AssumeRoleResponse>`
}

test('a role is assumed under the name of the client', async t => {
  const asked: string[] = []
  const expiration = new Date(Date.now() + 3_600_000).toISOString()
  const server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => asked.push(text))
    request.on('end', () => response.setHeader('content-type', 'text/xml').end(assumedRole(expiration)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  setEnvironment(t, { ...isolated, ...keyPair, AWS_ENDPOINT_URL_STS: endpoint })
  const roleArn = 'arn:aws:iam::123456789012:role/kafka'
  const { value } = await signMskToken({ mechanism, region, roleArn }, 'comporta-producer', systemClock)
  const body = new URLSearchParams(asked.join(''))
  assert.deepEqual(
    [body.get('Action'), body.get('RoleArn'), body.get('RoleSessionName')],
    ['AssumeRole', roleArn, 'comporta-producer']
  )
  const query = urlOf(value).searchParams
  assert.match(query.get('X-Amz-Credential') ?? '', /^ASIAROLE\//)
  assert.equal(query.get('X-Amz-Security-Token'), 'st')
})

test('without credentials there is an error, and no wait for ever', async t => {
  setEnvironment(t, isolated)
  await assert.rejects(signMskToken({ mechanism, region }, 'session', systemClock), {
    code: 'ERR_CLI_CREDENTIALS_UNREACHABLE'
  })
})
