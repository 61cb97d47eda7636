/** A Kubernetes Deployment against the mock server of fabric8's client: sizes, pods by selector, patches that hold. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { PipelineError, systemClock } from '../../src/core/index.ts'
import { openFleet } from '../../src/ops/index.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { startKubernetesMock } from '../support/kubernetes-mock.ts'

function kubeconfigOf(server: string): string {
  return `current-context: x
contexts: [{ name: x, context: { cluster: c, user: u, namespace: lanes } }]
clusters: [{ name: c, cluster: { server: '${server}' } }]
users: [{ name: u, user: {} }]
`
}

test('a Deployment is scaled, its pods are found and ended, and its rollout is held and let go', async t => {
  const server = await startKubernetesMock(t)
  const kubeconfig = join(temporaryFolder(t), 'config')
  writeFileSync(kubeconfig, kubeconfigOf(server))
  const create = async (path: string, value: unknown): Promise<void> => {
    const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
    const response = await fetch(`${server}${path}`, options)
    assert.ok(response.ok, await response.text())
  }
  const labels = { app: 'consumer' }
  await create('/apis/apps/v1/namespaces/lanes/deployments', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'consumer', namespace: 'lanes' },
    spec: {
      replicas: 2,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      selector: { matchLabels: labels },
      template: { metadata: { labels } }
    },
    status: { observedGeneration: 1, replicas: 2, readyReplicas: 2, updatedReplicas: 2 }
  })
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
  for (const [name, app] of [
    ['c-1', 'consumer'],
    ['c-2', 'consumer'],
    ['other', 'web']
  ] as const) {
    const metadata = { name, namespace: 'lanes', labels: { app } }
    await create('/api/v1/namespaces/lanes/pods', { apiVersion: 'v1', kind: 'Pod', metadata, status })
  }
  const settings = { type: 'kubernetes', deployment: 'consumer', kubeconfig } as const
  const fleet = await openFleet(settings, { environment: {}, clock: systemClock })
  assert.equal(fleet.name, 'kubernetes/lanes/consumer')
  assert.deepEqual(await fleet.size(), { wanted: 2, running: 2, min: undefined, max: undefined })
  await fleet.resize(4)
  assert.equal((await fleet.size()).wanted, 4)
  assert.deepEqual(
    (await fleet.instances()).map(({ id, state }) => `${id} ${state}`),
    ['c-1 running', 'c-2 running']
  )
  await fleet.restart('c-1')
  assert.deepEqual(
    (await fleet.instances()).map(({ id }) => id),
    ['c-2']
  )
  const { rollout } = fleet
  assert.ok(rollout !== undefined)
  assert.deepEqual(await rollout.check(), [])
  const deployment = async (): Promise<{ paused?: boolean; template?: { metadata?: { annotations?: unknown } } }> => {
    const response = await fetch(`${server}/apis/apps/v1/namespaces/lanes/deployments/consumer`)
    // The server's own object: what is absent fails below.
    return ((await response.json()) as { spec: Awaited<ReturnType<typeof deployment>> }).spec
  }
  await rollout.begin()
  assert.equal((await deployment()).paused, true)
  assert.match(JSON.stringify((await deployment()).template?.metadata?.annotations), /kubernetes\.io\/restartedAt":"20/)
  assert.equal((await rollout.status()).isPaused, true)
  await rollout.resume()
  assert.equal((await deployment()).paused, false)
  await rollout.pause()
  assert.equal((await rollout.status()).isPaused, true)
  const missing = await openFleet({ ...settings, deployment: 'nobody' }, { environment: {}, clock: systemClock })
  await assert.rejects(missing.size(), error => PipelineError.is(error, 'ERR_OPS_NOT_FOUND'))
})
