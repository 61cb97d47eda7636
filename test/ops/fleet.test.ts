/** Fleets: a signed webhook, Kubernetes by every kind of access, the lock, and a size that is taken back. */

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { parsePipeline } from '../../src/config/index.ts'
import { PipelineError, VirtualClock } from '../../src/core/index.ts'
import { undoHandlerOf } from '../../src/ops/change/undo-handlers.ts'
import type { UndoOpen } from '../../src/ops/change/undo-types.ts'
import { lockFleet, lockHolder } from '../../src/ops/fleet/fleet-lock.ts'
import { openKubeAccess } from '../../src/ops/fleet/kube-access.ts'
import { KubernetesFleet } from '../../src/ops/fleet/kubernetes.ts'
import { openFleet } from '../../src/ops/fleet/open-fleet.ts'
import { resizeChange } from '../../src/ops/fleet/resize-change.ts'
import { SocketFleet } from '../../src/ops/fleet/socket-fleet.ts'
import { WebhookFleet } from '../../src/ops/fleet/webhook.ts'
import { readScaleState } from '../../src/ops/scale/state-file.ts'
import { readTargetPage, TargetWatch } from '../../src/ops/scale/target-health.ts'
import { Authority } from '../support/certificates.ts'
import { temporaryFolder } from '../support/comporta.ts'

const clock = new VirtualClock(1_700_000_000_000)

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  // Listening on TCP: the address is never a path.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

function isCode(code: Parameters<typeof PipelineError.is>[1], pattern = /./): (error: unknown) => boolean {
  return error => PipelineError.is(error, code) && pattern.test(error.message)
}

test('a webhook tells the size and takes another; each request is signed over time, method and body', async t => {
  const bodies: string[] = []
  const url = await serve(t, (request, response) => {
    void bodyOf(request).then(body => {
      const { method = '', headers } = request
      const mac = createHmac('sha256', 'geheim').update(`1700000000.${method}.${body}`).digest('hex')
      assert.equal(headers['comporta-signature'], `t=1700000000,v1=${mac}`)
      if (method === 'POST') bodies.push(body)
      const instances = [
        { id: 'b', state: 'starting' },
        { id: 'a', state: 'running', health: 'fine', incarnation: '7' }
      ]
      response.end(JSON.stringify({ wanted: 3, running: 2, max: 8, instances }))
    })
  })
  const fleet = new WebhookFleet({ url: `${url}/fleet?token=x`, secret: 'geheim', clock })
  assert.match(fleet.name, /^webhook\/127\.0\.0\.1:\d+\/fleet$/)
  assert.deepEqual(await fleet.size(), { wanted: 3, running: 2, min: undefined, max: 8 })
  assert.deepEqual(await fleet.instances(), [
    { id: 'a', state: 'running', health: 'fine', incarnation: '7' },
    { id: 'b', state: 'starting', health: 'starting' }
  ])
  const result = await resizeChange({ fleet, from: 3, to: 5, reasons: ['lag'] }).apply({})
  await fleet.restart('a')
  assert.deepEqual(bodies, ['{"instances":5}', '{"restart":"a"}'])
  assert.equal(result.isComplete, true)
})

test('a webhook that refuses, is broken, lies or is away is told apart, and no secret is in the message', async t => {
  const answers: [number, string][] = [
    [403, 'wrong signature'],
    [503, 'later'],
    [200, '{"wanted":"3"}'],
    [200, 'hello'],
    [404, '']
  ]
  const url = await serve(t, (_, response) => {
    const [status, body] = answers.shift() ?? [500, '']
    response.writeHead(status).end(body)
  })
  const fleet = new WebhookFleet({ url, secret: 'geheim', clock })
  await assert.rejects(fleet.size(), isCode('ERR_OPS_REFUSED', /403 wrong signature$/))
  await assert.rejects(fleet.size(), isCode('ERR_OPS_FLEET_UNREACHABLE', /503 later$/))
  await assert.rejects(fleet.size(), isCode('ERR_OPS_REFUSED', /no whole number "wanted"/))
  await assert.rejects(fleet.size(), isCode('ERR_OPS_REFUSED', /not a JSON object/))
  await assert.rejects(fleet.size(), isCode('ERR_OPS_NOT_FOUND'))
  const nobody = new WebhookFleet({ url: 'http://127.0.0.1:1/', secret: 'geheim', clock })
  await assert.rejects(
    nobody.size(),
    error => isCode('ERR_OPS_FLEET_UNREACHABLE')(error) && !String(error).includes('geheim')
  )
  const settings = { type: 'webhook', url, secretEnv: 'NOT_SET', timeoutMs: 1000 } as const
  await assert.rejects(
    openFleet(settings, { environment: {}, clock }),
    isCode('ERR_OPS_FLEET_INVALID', /NOT_SET is not set/)
  )
  await assert.rejects(
    new SocketFleet(join(temporaryFolder(t), 'x.sock')).size(),
    isCode('ERR_OPS_FLEET_UNREACHABLE', /comporta scale --apply/)
  )
})

interface Said {
  readonly line: string
  readonly body: string
  readonly authorization: string | undefined
  readonly contentType: string | undefined
}

/** An API server's answers, over TLS with a certificate of an authority of its own; and what it was asked. */
async function kubeServer(t: TestContext): Promise<{ server: string; authority: Authority; said: Said[] }> {
  const authority = new Authority('cluster')
  const pair = authority.issue({ name: 'kubernetes', isServer: true })
  const said: Said[] = []
  const deployment = {
    metadata: { generation: 4 },
    spec: {
      replicas: 3,
      selector: {
        matchLabels: { app: 'consumer' },
        matchExpressions: [{ key: 'tier', operator: 'In', values: ['a', 'b'] }]
      },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } }
    },
    status: { observedGeneration: 4, readyReplicas: 2, updatedReplicas: 1, unavailableReplicas: 1 }
  }
  const ready = { conditions: [{ type: 'Ready', status: 'True' }], phase: 'Running' }
  const looping = {
    phase: 'Running',
    containerStatuses: [{ restartCount: 4, state: { waiting: { reason: 'CrashLoopBackOff' } } }]
  }
  const items = [
    { metadata: { name: 'p-2' }, status: looping },
    { metadata: { name: 'p-1' }, status: ready },
    // What was evicted stays in the list for days; the Deployment has another in its place.
    { metadata: { name: 'p-0' }, status: { phase: 'Failed', reason: 'Evicted' } },
    { metadata: { name: 'p-3', deletionTimestamp: '2026-01-01T00:00:00Z' }, status: ready }
  ]
  const server = createTlsServer({ cert: pair.cert, key: pair.key }, (request, response) => {
    void bodyOf(request).then(body => {
      const { method = '', url = '', headers } = request
      said.push({
        line: `${method} ${url}`,
        body,
        authorization: headers.authorization,
        contentType: headers['content-type']
      })
      if (url.includes('/missing'))
        response.writeHead(404).end('{"message":"deployments.apps \\"missing\\" not found"}')
      else if (url.includes('/expired')) response.writeHead(401).end('{"message":"Unauthorized"}')
      else if (url.includes('/forbidden')) response.writeHead(403).end('{"message":"cannot patch"}')
      else response.end(JSON.stringify(url.includes('/pods') ? { items } : deployment))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  // Listening on TCP: the address is never a path.
  return { server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, authority, said }
}

function kubeconfig(t: TestContext, server: string, parts: { cluster: string; user: string }): string {
  const file = join(temporaryFolder(t), 'config')
  writeFileSync(
    file,
    `apiVersion: v1
kind: Config
current-context: here
contexts: [{ name: here, context: { cluster: c, user: u, namespace: lanes } }]
clusters: [{ name: c, cluster: { server: '${server}', ${parts.cluster} } }]
users: [{ name: u, user: ${parts.user} }]
`
  )
  return file
}

test('a Deployment is looked at, scaled and rolled by the requests that Kubernetes documents', async t => {
  const { server, authority, said } = await kubeServer(t)
  const ca = Buffer.from(authority.cert).toString('base64')
  const file = kubeconfig(t, server, { cluster: `certificate-authority-data: ${ca}`, user: '{ token: secret-token }' })
  let forgotten = 0
  const access = {
    ...(await openKubeAccess({ environment: { KUBECONFIG: file }, clock })),
    forget: () => void (forgotten += 1)
  }
  assert.equal(access.namespace, 'lanes')
  const fleet = new KubernetesFleet({ access, clock, namespace: 'lanes', deployment: 'consumer' })
  assert.deepEqual(await fleet.size(), { wanted: 3, running: 2, min: undefined, max: undefined })
  assert.deepEqual(await fleet.instances(), [
    { id: 'p-1', state: 'running', health: 'Ready', crashes: 0 },
    { id: 'p-2', state: 'failed', health: 'CrashLoopBackOff', crashes: 4 },
    { id: 'p-3', state: 'stopping', health: 'Ready', crashes: 0 }
  ])
  await fleet.resize(5)
  await fleet.restart('p-1')
  const [problem = ''] = await fleet.rollout.check()
  assert.match(problem, /^maxUnavailable is 25% and maxSurge 25%; 1 and 0 take one at a time: kubectl -n lanes patch/)
  await fleet.rollout.begin()
  await fleet.rollout.resume()
  await fleet.rollout.pause()
  assert.deepEqual(await fleet.rollout.status(), { total: 3, begun: 1, updated: 0, unavailable: 1, isPaused: false })
  const path = '/apis/apps/v1/namespaces/lanes/deployments/consumer'
  const restarted = '{"kubectl.kubernetes.io/restartedAt":"2023-11-14T22:13:20.000Z"}'
  const changes = said.filter(({ line }) => !line.startsWith('GET'))
  assert.deepEqual(
    changes.map(({ line, body }) => `${line} ${body}`.trim()),
    [
      `PATCH ${path}/scale {"spec":{"replicas":5}}`,
      'DELETE /api/v1/namespaces/lanes/pods/p-1',
      `PATCH ${path} {"spec":{"paused":true,"template":{"metadata":{"annotations":${restarted}}}}}`,
      `PATCH ${path} {"spec":{"paused":false}}`,
      `PATCH ${path} {"spec":{"paused":true}}`
    ]
  )
  assert.ok(said.every(({ authorization }) => authorization === 'Bearer secret-token'))
  assert.equal(changes[0]?.contentType, 'application/merge-patch+json')
  const list = said.find(({ line }) => line.includes('/pods?'))
  assert.equal(
    decodeURIComponent(list?.line ?? ''),
    'GET /api/v1/namespaces/lanes/pods?labelSelector=app=consumer,tier in (a,b)'
  )
  const other = (deployment: string): KubernetesFleet =>
    new KubernetesFleet({ access, clock, namespace: 'lanes', deployment })
  await assert.rejects(other('missing').size(), isCode('ERR_OPS_NOT_FOUND', /"missing" not found$/))
  await assert.rejects(other('expired').size(), isCode('ERR_OPS_REFUSED', /401/))
  assert.equal(forgotten, 1)
  await assert.rejects(other('forbidden').resize(2), isCode('ERR_OPS_REFUSED', /403 cannot patch$/))
})

test('an API server whose certificate nobody vouches for is not talked to, and skipping that is refused', async t => {
  const { server, said } = await kubeServer(t)
  const other = Buffer.from(new Authority('other').cert).toString('base64')
  const file = kubeconfig(t, server, { cluster: `certificate-authority-data: ${other}`, user: '{ token: t }' })
  const access = await openKubeAccess({ environment: {}, kubeconfig: file, clock })
  const fleet = new KubernetesFleet({ access, clock, namespace: 'x', deployment: 'y' })
  await assert.rejects(fleet.size(), isCode('ERR_OPS_FLEET_UNREACHABLE', /certificate/))
  assert.deepEqual(said, [])
  const refused: [string, RegExp][] = [
    [
      kubeconfig(t, server, { cluster: 'insecure-skip-tls-verify: true', user: '{}' }),
      /insecure-skip-tls-verify is refused/
    ],
    [kubeconfig(t, 'http://example.com', { cluster: '', user: '{}' }), /is not https/],
    [
      kubeconfig(t, server, { cluster: '', user: '{ username: u, password: p }' }),
      /exec plugin, a token or a certificate/
    ],
    [join(temporaryFolder(t), 'none'), /cannot read/]
  ]
  for (const [kubeconfig, reason] of refused) {
    await assert.rejects(
      openKubeAccess({ environment: {}, kubeconfig, clock }),
      isCode('ERR_OPS_FLEET_INVALID', reason)
    )
  }
  await assert.rejects(
    openKubeAccess({ environment: {}, kubeconfig: file, context: 'away', clock }),
    isCode('ERR_OPS_FLEET_INVALID', /there is no context away/)
  )
  await assert.rejects(
    openKubeAccess({ environment: {}, clock }),
    isCode('ERR_OPS_FLEET_INVALID', /there is no kubeconfig/)
  )
})

test('an exec plugin is asked once until its token ends; a pod’s token is read for each request', async t => {
  const folder = temporaryFolder(t)
  const plugin = join(folder, 'plugin.sh')
  writeFileSync(
    plugin,
    `#!/bin/sh
echo x >> "${folder}/calls"
n=$(wc -l < "${folder}/calls" | tr -d ' ')
echo "{\\"status\\":{\\"token\\":\\"$PREFIX-$n\\",\\"expirationTimestamp\\":\\"$ENDS\\"}}"
`
  )
  chmodSync(plugin, 0o700)
  const ends = new Date(clock.now() + 3_600_000).toISOString()
  const exec = `{ command: '${plugin}', env: [{ name: PREFIX, value: t }, { name: ENDS, value: '${ends}' }] }`
  const file = kubeconfig(t, 'https://127.0.0.1:1', { cluster: '', user: `{ exec: ${exec} }` })
  const access = await openKubeAccess({ environment: { PATH: process.env['PATH'] }, kubeconfig: file, clock })
  assert.deepEqual([await access.credentials(), await access.credentials()], [{ token: 't-1' }, { token: 't-1' }])
  await clock.advance(3_550_000)
  assert.deepEqual(await access.credentials(), { token: 't-2' })
  access.forget?.()
  assert.deepEqual(await access.credentials(), { token: 't-3' }, 'one that the server refused is not used again')

  const account = join(folder, 'account')
  mkdirSync(account)
  for (const [name, text] of [
    ['ca.crt', 'ca'],
    ['namespace', 'lanes\n'],
    ['token', 'one']
  ] as const) {
    writeFileSync(join(account, name), text)
  }
  const environment = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }
  const pod = await openKubeAccess({ environment, clock, serviceAccountDir: account })
  assert.equal(pod.server, 'https://10.0.0.1:6443')
  assert.equal(pod.namespace, 'lanes')
  assert.deepEqual(await pod.credentials(), { token: 'one' })
  writeFileSync(join(account, 'token'), 'two\n')
  assert.deepEqual(await pod.credentials(), { token: 'two' })
})

test('a size is taken back to the one before, and not over what somebody else has set since', async t => {
  let wanted = 5
  const url = await serve(t, (request, response) => {
    void bodyOf(request).then(body => {
      if (body !== '') wanted = (JSON.parse(body) as { instances: number }).instances
      response.end(JSON.stringify({ wanted, running: wanted }))
    })
  })
  const text = `name: x
kafka: { bootstrapServers: a:1 }
operations: { fleet: { type: webhook, url: '${url}', secretEnv: SECRET } }`
  const pipeline = parsePipeline(text, { fileName: 'x', environment: {} })
  const handler = await undoHandlerOf('fleet')
  const fleet = new WebhookFleet({ url, secret: 's', clock })
  const { snapshot = null } = resizeChange({ fleet, from: 3, to: 5, reasons: [] })
  // A fleet is not asked of Kafka: the handler uses neither the cluster nor its administration.
  const open = { pipeline, clock, environment: { SECRET: 's' } } as unknown as UndoOpen
  const back = await handler?.(snapshot, open)
  assert.equal(back?.plan.summary, `${fleet.name}: 5 → 3 instances`)
  assert.deepEqual([back?.plan.blockers, back?.plan.conflicts], [[], []])
  await back?.apply({})
  assert.equal(wanted, 3)
  wanted = 8
  const later = await handler?.(snapshot, open)
  assert.match(later?.plan.conflicts?.[0] ?? '', /has 8 instances now, neither 5 nor 3$/)
  await assert.rejects(async () => await handler?.({ fleet: 'x' }, open), isCode('ERR_OPS_UNDO_DAMAGED'))
})

test('one hand at a time: a lock names its holder, outlives no process of this machine, and is let go', async t => {
  const path = join(temporaryFolder(t), 'deep', 'scale.lock')
  const lock = await lockFleet(path, 'comporta scale')
  await assert.rejects(
    lockFleet(path, 'comporta rollout'),
    isCode('ERR_OPS_FLEET_LOCKED', new RegExp(`^comporta scale \\(process ${process.pid} on `))
  )
  assert.match((await lockHolder(path)) ?? '', /^comporta scale/)
  await lock.release()
  await lock.release()
  assert.equal(await lockHolder(path), undefined)
  // No process has this number: Linux ends at 4,194,304.
  writeFileSync(path, JSON.stringify({ pid: 4_999_999, host: hostname(), what: 'comporta scale' }))
  const taken = await lockFleet(path, 'comporta scale')
  await taken.release()
  // A container's process has the same number each time: what it left behind before it was killed holds nothing.
  writeFileSync(path, JSON.stringify({ pid: process.pid, host: hostname(), what: 'comporta scale', token: 'before' }))
  const again = await lockFleet(path, 'comporta scale')
  await assert.rejects(lockFleet(path, 'x'), isCode('ERR_OPS_FLEET_LOCKED', /comporta scale/))
  await again.release()
  writeFileSync(path, JSON.stringify({ pid: 1, host: 'elsewhere', what: 'comporta scale' }))
  await assert.rejects(lockFleet(path, 'x'), isCode('ERR_OPS_FLEET_LOCKED', /on elsewhere/))
})

test('what is remembered: none is an empty one, a damaged one is said', async t => {
  const path = join(temporaryFolder(t), 'scale.json')
  assert.deepEqual(await readScaleState(path), { version: 1, rebalancesMs: [], wants: [] })
  writeFileSync(path, '{"version":1')
  await assert.rejects(readScaleState(path), isCode('ERR_OPS_SCALE_STATE', /is damaged: delete it/))
  const whole = { version: 1, rebalancesMs: [1], wants: [{ atMs: 1, instances: 2 }], lastWanted: 3 }
  writeFileSync(path, JSON.stringify(whole))
  assert.deepEqual(await readScaleState(path), whole)
  const step = { atMs: 1, from: 1, to: 2, by: 'scaler', verdict: 'open' }
  for (const damage of [
    { wants: [null] },
    { wants: [{ atMs: 1 }] },
    { rebalancesMs: ['x'] },
    { lastWanted: 'three' },
    { lastWanted: 1.5 },
    { lastStep: {} },
    { lastStep: { ...step, from: null } },
    { settledSinceMs: null },
    { members: 'm' },
    { ceiling: { instances: 1 } },
    { kedaOffsets: { 't-0': 'many' } }
  ]) {
    writeFileSync(path, JSON.stringify({ ...whole, ...damage }))
    await assert.rejects(readScaleState(path), isCode('ERR_OPS_SCALE_STATE', /is damaged/), JSON.stringify(damage))
  }
})

test('open breakers and the time of invocations are read from the dispatchers’ pages', async t => {
  let [count, sum, open] = [100, 12_000, 0]
  const page = (): string => `# TYPE comporta_dispatcher_breaker_open gauge
comporta_dispatcher_breaker_open{group="g",target="http"} ${open}
comporta_dispatcher_breaker_open{group="other",target="http"} 1
comporta_dispatcher_invoke_duration_bucket{group="g",outcome="ok",le="25"} 3
comporta_dispatcher_invoke_duration_sum{group="g",outcome="ok"} ${sum}
comporta_dispatcher_invoke_duration_count{group="g",outcome="ok"} ${count}
`
  assert.deepEqual(readTargetPage(page(), 'g'), { count: 100, sumMs: 12_000, isBreakerOpen: false })
  const url = await serve(t, (_, response) => response.end(page()))
  const watch = new TargetWatch()
  const urls = [`${url}/metrics`, 'http://127.0.0.1:1/metrics']
  assert.deepEqual(await watch.look(urls, 'g'), { isBreakerOpen: false, latencyMs: undefined })
  count += 10
  sum += 9500
  open = 1
  assert.deepEqual(await watch.look(urls, 'g'), { isBreakerOpen: true, latencyMs: 950 })
  assert.equal(await new TargetWatch().look(['http://127.0.0.1:1/'], 'g'), undefined)
})
