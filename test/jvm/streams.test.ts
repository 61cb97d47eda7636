/**
 * A Kafka Streams application with exactly-once processing on our broker,
 * killed twice on the way: every word is counted once, in order.
 */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { temporaryFolder } from '../support/comporta.ts'
import { compileJava, startKafkaApplication } from '../support/kafka-jvm.ts'
import { brokerWithTools, eventually, inShortRun, linesOf, type RunningTool, watch } from './tools.ts'

const source = join(import.meta.dirname, 'programs/WordCount.java')
const sentenceCount = 3_000
const wordCount = 3 * sentenceCount

/** Sentences of three words, out of 35 words in all. */
function sentences(from: number, count: number): string {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index
    return `the word-${number % 31} of-${number % 3}\n`
  }).join('')
}

test('a Streams application that is killed twice counts each word exactly once', { skip: inShortRun }, async t => {
  const { broker, tool } = await brokerWithTools(t, {
    config: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000' }
  })
  const admin = new kafkajs.Kafka({ brokers: [broker.bootstrapServers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  for (const topic of ['sentences', 'counts']) await tool('kafka-topics', `--create --topic ${topic} --partitions 2`)
  const state = join(temporaryFolder(t), 'state')
  const classes = await compileJava(source)
  const start = async (): Promise<RunningTool> =>
    watch(t, await startKafkaApplication('WordCount', [broker.bootstrapServers, state], classes))
  const outputAbove = (count: number): Promise<void> =>
    eventually(`more than ${count} outputs`, async () => {
      const ends = await admin.fetchTopicOffsets('counts')
      return ends.reduce((sum, { offset }) => sum + Number(offset), 0) > count
    })
  await tool('kafka-console-producer', '--topic sentences', { stdin: sentences(0, sentenceCount / 2) })

  const first = await start()
  await outputAbove(1_000)
  await first.stop('SIGKILL')
  await tool('kafka-console-producer', '--topic sentences', {
    stdin: sentences(sentenceCount / 2, sentenceCount / 2)
  })
  // Its state is still there: the same instance comes back.
  const second = await start()
  await outputAbove(wordCount / 2)
  await second.stop('SIGKILL')
  // Its state is lost: another instance restores it from the changelog topic.
  await rm(state, { recursive: true })
  const third = await start()
  const read = '--topic counts --from-beginning --isolation-level read_committed --formatter-property print.key=true'
  const awaited = await tool('kafka-console-consumer', `${read} --max-messages ${wordCount} --timeout-ms 40000`)
  await third.stop('SIGTERM')
  const all = await tool('kafka-console-consumer', `${read} --timeout-ms 2000`)
  const topics = await tool('kafka-topics', '--describe')
  const transactions = await tool('kafka-transactions', 'list')
  await tool('kafka-streams-application-reset', '--application-id word-count --input-topics sentences --force')
  const topicsLeft = await tool('kafka-topics', '--list')
  const offsetsLeft = await tool('kafka-consumer-groups', '--describe --group word-count')

  assert.equal(linesOf(awaited).length, wordCount, third.lines.join('\n'))
  const counts = countsByWord(linesOf(all))
  assert.deepEqual(
    counts,
    countsByWord(
      sentences(0, sentenceCount)
        .trim()
        .split(/\s/)
        .map(word => `${word}\t`),
      true
    )
  )
  assert.match(topics, /word-count-\S+-changelog\s.*cleanup\.policy=compact/)
  assert.match(topics, /word-count-\S+-repartition\s.*cleanup\.policy=delete/)
  assert.deepEqual(
    linesOf(topicsLeft).filter(name => name.startsWith('word-count')),
    []
  )
  assert.match(offsetsLeft, /^word-count\s+sentences\s+0\s+0\s/m)
  for (const line of linesOf(transactions).slice(1)) assert.match(line, /Complete(Commit|Abort)|Empty/)
})

/** The counts of each word in their order; or the counts that its occurrences should have: 1, 2, 3, … */
function countsByWord(lines: readonly string[], isNumbered = false): Map<string, number[]> {
  const counts = new Map<string, number[]>()
  for (const line of lines) {
    const [word = '', count = ''] = line.split('\t')
    const known = counts.get(word) ?? []
    known.push(isNumbered ? known.length + 1 : Number(count))
    counts.set(word, known)
  }
  return new Map([...counts].toSorted(([left], [right]) => left.localeCompare(right)))
}
