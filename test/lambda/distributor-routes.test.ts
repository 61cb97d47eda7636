/** Which targets a record goes to: tables, conditions, functions; and where the options come from. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'

import { builtinDistributor, type DistributorOptions, type ComportaFailure } from '../../src/lambda/index.ts'
import { batchOf, contextWith, distributorFor, type Service, startService } from './support.ts'

const PLENTY = contextWith(60_000)

async function services(
  t: TestContext,
  ...names: string[]
): Promise<{ url: Record<string, string>; readonly got: (name: string) => number[] }> {
  const all = new Map<string, Service>()
  for (const name of names) all.set(name, await startService(t))
  return {
    url: Object.fromEntries([...all].map(([name, each]) => [name, each.url])),
    got: name => all.get(name)?.offsets() ?? []
  }
}

test('conditions on any fields choose targets; a record goes to those of all routes, to each once', async t => {
  const { url, got } = await services(t, 'a', 'b', 'c', 'rest')
  const routes: DistributorOptions['routes'] = [
    { values: [1, '2'], targets: ['a'] },
    { when: { 'order.total': [{ from: 100 }], country: ['PT', { prefix: 'eu-' }] }, targets: ['b', 'a'] },
    { when: { 'order.total': [{ from: 10, to: 99.5 }] }, targets: ['c'] },
    { when: { urgent: [true], country: [{ exists: false }] }, targets: ['c', 'b'] },
    { when: { kind: [{ 'anything-but': ['noise'] }] }, targets: ['c'] }
  ]
  const messages = [
    { codigo: 1 }, // 100: the table
    { codigo: '2', order: { total: 250 }, country: 'eu-west' }, // 101: table and rule, a once
    { codigo: 9, order: { total: '100' }, country: 'PT' }, // 102: the text of a number
    { order: { total: 99.5 } }, // 103: the end of a range
    { order: { total: 99.6 }, country: 'US' }, // 104: no rule
    { urgent: true }, // 105
    { urgent: 'true', country: 'PT' }, // 106: the country is there
    { kind: 'noise' }, // 107
    { kind: 'music' }, // 108
    { order: [{ total: 250 }], country: 'PT' } // 109: a list is no object
  ]
  const distribute = distributorFor(t, { targets: url, routes, otherwise: ['rest'] })

  assert.deepEqual(await distribute(batchOf(messages), PLENTY), {})
  assert.deepEqual(got('a'), [100, 101, 102])
  assert.deepEqual(got('b'), [101, 102, 105])
  assert.deepEqual(got('c'), [103, 105, 108])
  assert.deepEqual(got('rest'), [104, 106, 107, 109])
})

test('a value that two routes name goes to the targets of both, whatever way it is written', async t => {
  const { url, got } = await services(t, 'a', 'b')
  const routes = [
    { values: [300, -1.5], targets: ['a'] },
    { values: ['300', '007', 1e21], targets: ['b', 'b'] }
  ]
  const distribute = distributorFor(t, { targets: url, routes, otherwise: 'skip' })
  const codes = [300, '300', '0300', 7, '007', -1.5, '-1.5', 1e21, '1e+21', Number.NaN, null, true, ['300']]

  const response = await distribute(batchOf(codes.map(codigo => ({ codigo }))), PLENTY)
  assert.deepEqual(got('a'), [100, 101, 105, 106])
  assert.deepEqual(got('b'), [100, 101, 104, 107, 108])
  assert.equal('failures' in response ? response.failures?.length : 0, 6)
})

test('a function of the program routes by code', async t => {
  const { url, got } = await services(t, 'a', 'b')
  const seen: unknown[] = []
  const distribute = distributorFor(t, {
    targets: url,
    otherwise: ['b'],
    route: record => {
      const { topic, partition, offset, key } = record
      seen.push([topic, partition, offset, key, record.field(['at', 'all'])])
      switch (record.value) {
        case 'both':
          return ['a', 'b', 'a']
        case 'none':
          return undefined
        case 'dead':
          return 'deadLetter'
        case 'skip':
          return 'skip'
        case 'typo':
          return ['c']
        case 'throws':
          throw new Error('no such country')
        default:
          return ['a']
      }
    }
  })
  const messages = ['both', 'none', 'dead', 'skip', 'typo', 'throws', { at: { all: 7 } }, 'x']
  const keys = ['k', 'k', 'k', 'k', 'm', 'n', 'o', 'm']

  const response = await distribute(batchOf(messages, 100, { keys }), PLENTY)
  const failures: readonly ComportaFailure[] = 'failures' in response ? (response.failures ?? []) : []
  assert.deepEqual(got('a'), [100, 106])
  assert.deepEqual(got('b'), [100, 101])
  assert.deepEqual(
    failures.map(each => `${each.offset} ${each.action}: ${each.reason}`),
    [
      '102 deadLetter: the routing function says so',
      '103 skip: the routing function says so',
      '104 retry: the routing function names no target: "c"',
      '105 retry: the routing function failed: no such country',
      // It has the key of 104, which comes again.
      '107 retry: waits behind an earlier record that comes again'
    ]
  )
  assert.deepEqual(seen[6], ['mt-c300', 3, 106, 'o', 7])
})

test('a header may come from the environment, and is missed at the start', async t => {
  const service = await startService(t)
  const targets = { s: { type: 'http', url: service.url, headers: { authorization: { env: 'TOKEN' } } } } as const
  const distribute = distributorFor(t, { targets, otherwise: ['s'], environment: { TOKEN: 'Bearer secret' } })

  await distribute(batchOf([1]), PLENTY)
  assert.equal(service.received[0]?.headers.authorization, 'Bearer secret')
  const code = 'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID'
  assert.throws(() => distributorFor(t, { targets, otherwise: ['s'] }), {
    code,
    message: 'distributor options: targets.s.headers.authorization: the environment variable TOKEN is not set'
  })
  // What a header cannot hold is not repeated in the message.
  assert.throws(
    () => distributorFor(t, { targets, otherwise: ['s'], environment: { TOKEN: 'secret\nx: y' } }),
    error =>
      error instanceof Error && !error.message.includes('secret') && error.message.includes('headers.authorization')
  )
})

test('options come from a file where the environment has too little room', async t => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'comporta-distributor-'))
  t.after(() => rm(folder, { recursive: true }))
  const service = await startService(t)
  const targets = { s: { type: 'http', url: service.url, headers: { 'x-token': { env: 'TOKEN' } } } }
  const text = JSON.stringify({ targets, otherwise: ['s'] })
  await writeFile(path.join(folder, 'routes.json'), text)
  const code = 'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID'
  const environment = { LAMBDA_TASK_ROOT: folder, TOKEN: 't' }

  assert.throws(() => builtinDistributor(environment), { code, message: /there are no options: .*distributor\.json/ })
  const named = builtinDistributor({ ...environment, COMPORTA_DISTRIBUTOR_FILE: 'routes.json' })
  t.after(() => named.close())
  assert.deepEqual(await named(batchOf([1]), PLENTY), {})
  await writeFile(path.join(folder, 'distributor.json'), text)
  const found = builtinDistributor(environment)
  t.after(() => found.close())
  assert.deepEqual(await found(batchOf([2]), PLENTY), {})
  assert.equal(service.received[1]?.headers['x-token'], 't')
  assert.throws(() => builtinDistributor({ ...environment, COMPORTA_DISTRIBUTOR_FILE: 'absent.json' }), { code })
  await writeFile(path.join(folder, 'routes.json'), '{"targets":')
  assert.throws(() => builtinDistributor({ ...environment, COMPORTA_DISTRIBUTOR_FILE: 'routes.json' }), {
    code,
    message: /routes\.json is not JSON/
  })
})

test('every problem of routes and targets is named, with its place', () => {
  const options = {
    services: {},
    targets: {
      skip: 'http://127.0.0.1:1/',
      a: { type: 'telegraph' },
      b: { type: 'http', url: 'http://user:pw@127.0.0.1/', urll: 'x', recordsMax: 0, retry: { attemptsMax: 11, x: 1 } },
      c: { type: 'http', url: 'http://127.0.0.1/', headers: { a: 'b', A: 'c', n: 7, 'content-length': '5' } }
    },
    routes: [
      { values: [1], when: { a: [1] }, targets: ['c'] },
      { targets: ['c'] },
      { when: { a: [{ from: 5, to: 1 }], b: [], c: [{ like: 'x' }] }, targets: ['c'] },
      { when: {}, targets: ['c'] },
      { values: [1], target: ['c'] }
    ],
    retry: { attemptsMax: 0 },
    typo: 1
  }
  assert.throws(
    // Boundary: what JSON might hold.
    () => distributorForNobody(options as never),
    ({ message }: Error) => {
      const parts = ['services: has become targets', 'targets.skip: this name', 'targets.a.type: "telegraph"']
      parts.push(
        'targets.b.url: has a user name',
        'targets.b.urll:',
        'targets.b.recordsMax',
        'targets.b.retry.attemptsMax'
      )
      parts.push(
        'targets.b.retry.x',
        'targets.c.headers.A: is there twice',
        'targets.c.headers.n:',
        'targets.c.headers.content-length'
      )
      parts.push(
        'routes.0: needs either',
        'routes.1: needs either',
        'routes.2.when.a.0: the range',
        'routes.2.when.b: is empty'
      )
      parts.push(
        'routes.2.when.c.0.like',
        'routes.3.when: names no field',
        'routes.4.target: is no option',
        'routes.4.targets: is empty'
      )
      for (const part of [...parts, 'retry.attemptsMax', 'typo: is no option']) {
        assert.ok(message.includes(part), `${part} in: ${message}`)
      }
      assert.ok(!message.includes('pw@'))
      return true
    }
  )
})

function distributorForNobody(options: DistributorOptions): unknown {
  return builtinDistributor({ COMPORTA_DISTRIBUTOR: JSON.stringify(options) })
}

test('a distributor with HTTP targets loads neither an SDK nor Powertools nor the Kafka client', async () => {
  const root = path.join(import.meta.dirname, '../..')
  const program = `
    import { registerHooks } from 'node:module'
    const urls = new Set()
    registerHooks({
      resolve(name, context, next) {
        const found = next(name, context)
        urls.add(found.url)
        return found
      }
    })
    const { builtinDistributor } = await import('./src/lambda/distributor/builtin.ts')
    const options = { targets: { s: 'http://127.0.0.1:1/' }, otherwise: ['s'], retry: { attemptsMax: 1 } }
    const distribute = builtinDistributor({ COMPORTA_DISTRIBUTOR: JSON.stringify(options) })
    const event = { topic: 't', partition: 0, messages: [1], offsets: [1] }
    await distribute(event, { getRemainingTimeInMillis: () => 5000 })
    console.log(JSON.stringify([...urls]))`
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 30_000 })
  const urls = (JSON.parse(stdout) as string[]).map(url => url.replace(/^.*?\/(src|node_modules)\//, '$1/'))

  assert.deepEqual(
    urls.filter(url => url.startsWith('node_modules/') || /^src\/(client|protocol|telemetry|targets\/index)/.test(url)),
    []
  )
  assert.ok(urls.length < 100, `${urls.length} modules`)
})
