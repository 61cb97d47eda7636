import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { startBroker } from '../../src/broker/index.ts'
import { describeConfigsApi, incrementalAlterConfigsApi, updateFeaturesApi } from '../../src/protocol/index.ts'
import { apiVersionsApi } from '../../src/protocol/index.ts'
import { brokerFor, connectTo } from './support.ts'

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-test-'))
  t.after(() => fs.rm(folder, { recursive: true, force: true }))
  return folder
}

test('what was changed at run time is in force after a restart', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await startBroker({ dataDir })
  const connection = await connectTo(t, first)
  const configs = [{ name: 'log.retention.ms', configOperation: 0, value: '3600000' }]
  const resources = [{ resourceType: 4, resourceName: '', configs }]
  await connection.request(incrementalAlterConfigsApi, { version: 1, message: { resources } })
  const featureUpdates = [{ feature: 'transaction.version', maxVersionLevel: 1, upgradeType: 2 }]
  await connection.request(updateFeaturesApi, { version: 2, message: { timeoutMs: 1000, featureUpdates } })
  await first.close()

  const second = await connectTo(t, await brokerFor(t, { dataDir }))
  const asked = [{ resourceType: 4, resourceName: '1', configurationKeys: ['log.retention.ms'] }]
  const { results } = await second.request(describeConfigsApi, { version: 4, message: { resources: asked } })
  assert.equal(results[0]?.configs[0]?.value, '3600000')
  const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }
  const { finalizedFeatures } = await second.request(apiVersionsApi, { version: 4, message: software })
  const level = finalizedFeatures.find(({ name }) => name === 'transaction.version')?.maxVersionLevel
  assert.equal(level, 1)
})

test('a damaged file of settings or features is not guessed at', async t => {
  const damaged: [string, string][] = [
    ['dynamic-settings.json', '{ "cluster": { "log.retention.ms": 5 } }'],
    ['dynamic-settings.json', '{ "cluster"'],
    ['features.properties', 'epoch=1\ntransaction.version=many\n'],
    ['features.properties', 'transaction.version=2\n']
  ]
  for (const [file, text] of damaged) {
    const dataDir = await temporaryFolder(t)
    await fs.writeFile(path.join(dataDir, file), text)
    await assert.rejects(startBroker({ dataDir }), { code: 'ERR_BROKER_DATA_DAMAGED' }, text)
  }
})
