/** A report from a cluster that is at work, on whatever cluster is under test. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Admin, Appender, Cluster } from '../../src/client/index.ts'
import { systemClock } from '../../src/core/index.ts'
import { gatherFindings, reviewAnswers } from '../../src/ops/index.ts'
import { clusterForTest } from '../support/cluster.ts'

test('a report has what was watched, and what the doctor says', async t => {
  const given = await clusterForTest(t)
  const cluster = await Cluster.connect({ bootstrapServers: given.bootstrapServers.split(',') })
  t.after(() => cluster.close())
  const admin = new Admin(cluster)
  const topic = given.uniqueName('report')
  const group = given.uniqueName('group')
  await admin.createTopics([{ topic, partitionCount: 2 }])
  const appender = new Appender({ cluster, lingerMs: 0 })
  t.after(() => appender.close())
  for (let index = 0; index < 100; index += 1) {
    appender.append(
      { topic, key: Buffer.from(`k${index % 7}`), value: Buffer.from('{}') },
      { delivered: () => undefined, failed: error => assert.fail(error.message) }
    )
  }
  await appender.flush()
  await admin.alterGroupOffsets(
    group,
    [0, 1].map(partition => ({ topic, partition, offset: 0n }))
  )

  const progress: string[] = []
  const found = await gatherFindings({
    cluster,
    pipeline: undefined,
    group,
    watchMs: 1100,
    clock: systemClock,
    signal: new AbortController().signal,
    onProgress: text => progress.push(text),
    doctor: { certificates: { isKnown: true, value: [] }, bootstrapServers: given.bootstrapServers.split(',') }
  })
  assert.ok(found.looks.length >= 2, `${found.looks.length} looks`)
  assert.equal(found.looks.at(-1)?.groups[0]?.lagRecords, 100n)
  assert.equal(found.scan?.topics.get(topic)?.partitions.length, 2)
  assert.ok((found.findings?.length ?? 0) > 10, 'the doctor has looked')
  assert.ok(progress.includes('watching the lag'))

  const answers = reviewAnswers({ ...found, version: '0', writtenAtMs: 0, pipeline: undefined, experiments: [] })
  assert.deepEqual(found.gaps, [])
  const night = answers.find(({ question }) => question.includes('3 a.m.'))
  assert.match(night?.answer ?? '', new RegExp(`${group} is \\w+ with 100 records behind`))
})
