import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  asideFolderName,
  offsetFileName,
  parseOffsetFileName,
  parsePartitionFolderName
} from '../../../src/broker/log/file-names.ts'
import { LeaderEpochs } from '../../../src/broker/log/leader-epochs.ts'
import {
  formatLeaderEpochs,
  formatOffsetCheckpoint,
  formatPartitionMetadata,
  parseLeaderEpochs,
  parseOffsetCheckpoint,
  parsePartitionMetadata,
  parseProperties
} from '../../../src/broker/log/small-files.ts'
import { topicNameProblem } from '../../../src/broker/log/topic-names.ts'

test("checkpoints have Kafka's text: version, count, one line each", () => {
  const text = formatOffsetCheckpoint([
    { topic: 'orders', partition: 0, offset: 12n },
    { topic: 'a-b', partition: 11, offset: 9007199254740993n }
  ])

  assert.equal(text, '0\n2\norders 0 12\na-b 11 9007199254740993\n')
  assert.deepEqual(parseOffsetCheckpoint(text)?.get('a-b-11'), 9007199254740993n)
})

test('a checkpoint that is cut or damaged is no checkpoint', () => {
  for (const text of ['', '0', '0\n', '0\n2\norders 0 12\n', '0\n1\norders x 12\n', '1\n0\n', '0\n-1\n']) {
    assert.equal(parseOffsetCheckpoint(text), undefined, JSON.stringify(text))
  }
})

test('leader epochs are written and read as Kafka has them', () => {
  const text = formatLeaderEpochs([
    { epoch: 0, startOffset: 0n },
    { epoch: 3, startOffset: 120n }
  ])

  assert.equal(text, '0\n2\n0 0\n3 120\n')
  assert.deepEqual(parseLeaderEpochs(text)?.[1], { epoch: 3, startOffset: 120n })
  assert.equal(parseLeaderEpochs('0\n1\n0\n'), undefined)
})

test('partition metadata names the topic id', () => {
  assert.equal(formatPartitionMetadata('cp0KyJmoRtqWGZSx6ZZ3Tg'), 'version: 0\ntopic_id: cp0KyJmoRtqWGZSx6ZZ3Tg')
  assert.equal(parsePartitionMetadata('version: 0\ntopic_id: cp0KyJmoRtqWGZSx6ZZ3Tg'), 'cp0KyJmoRtqWGZSx6ZZ3Tg')
  assert.equal(parsePartitionMetadata('version: 0\ntopic_id: cp0'), undefined)
})

test('a properties file as Java writes it is read', () => {
  const properties = parseProperties('#\n#Mon Jun 02 10:00:00 UTC 2025\nnode.id=1\r\ncluster.id = abc\n\n')

  assert.deepEqual(
    [...properties],
    [
      ['node.id', '1'],
      ['cluster.id', 'abc']
    ]
  )
})

test('file names have twenty digits and are read back', () => {
  assert.equal(offsetFileName(42n, '.log'), '00000000000000000042.log')
  assert.deepEqual(parseOffsetFileName('00000000000000000042.timeindex'), { offset: 42n, suffix: '.timeindex' })
  assert.equal(parseOffsetFileName('42.log'), undefined)
  assert.equal(parseOffsetFileName('00000000000000000042.log.deleted'), undefined)
})

test('the last dash separates topic and partition', () => {
  assert.deepEqual(parsePartitionFolderName('a-1-20'), { topic: 'a-1', partition: 20 })
  assert.equal(parsePartitionFolderName('orders'), undefined)
  assert.equal(parsePartitionFolderName('orders-0.0123-delete'), undefined)
})

test('a folder set aside has a name that fits, for the longest topic too', () => {
  const name = asideFolderName(`${'t'.repeat(249)}-12345`, 'f'.repeat(32), '-delete')

  assert.equal(name.length, 255)
  assert.ok(name.endsWith(`.${'f'.repeat(32)}-delete`))
})

test('epochs end where the next one begins, the latest at the end of the log', () => {
  const epochs = new LeaderEpochs([
    { epoch: 1, startOffset: 0n },
    { epoch: 4, startOffset: 50n }
  ])

  assert.deepEqual(epochs.endOf(1, 90n), { epoch: 1, endOffset: 50n })
  assert.deepEqual(epochs.endOf(2, 90n), { epoch: 1, endOffset: 50n })
  assert.deepEqual(epochs.endOf(0, 90n), { epoch: 0, endOffset: 0n })
  assert.deepEqual(epochs.endOf(4, 90n), { epoch: 4, endOffset: 90n })
  assert.deepEqual(epochs.endOf(5, 90n), { epoch: -1, endOffset: -1n })
})

test('an epoch that wrote nothing gives its start to the next one', () => {
  const epochs = new LeaderEpochs([{ epoch: 0, startOffset: 10n }])

  assert.equal(epochs.assign(1, 10n), true)
  assert.equal(epochs.assign(1, 20n), false)

  assert.deepEqual(epochs.entries, [{ epoch: 1, startOffset: 10n }])
})

test('epochs below the log start are dropped, but not the one that holds it', () => {
  const epochs = new LeaderEpochs([
    { epoch: 0, startOffset: 0n },
    { epoch: 1, startOffset: 10n },
    { epoch: 2, startOffset: 20n }
  ])

  epochs.truncateUpTo(15n)

  assert.deepEqual(epochs.entries, [
    { epoch: 1, startOffset: 15n },
    { epoch: 2, startOffset: 20n }
  ])
})

test('topic names follow the rules of Kafka', () => {
  for (const good of ['a', 'A.b_c-9', '__consumer_offsets', 'x'.repeat(249), '...']) {
    assert.equal(topicNameProblem(good), undefined, good)
  }
  for (const bad of ['', '.', '..', 'a b', 'a/b', 'ä', 'x'.repeat(250)]) {
    assert.notEqual(topicNameProblem(bad), undefined, bad)
  }
})
