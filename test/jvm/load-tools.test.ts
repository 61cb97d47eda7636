/**
 * Kafka's own load tools on our broker: the verifiable pair of its system
 * tests, which writes down every record it sent and got, and the performance
 * tools.
 */

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { uniqueName } from '../support/cluster.ts'
import { temporaryFolder } from '../support/comporta.ts'
import { brokerWithTools, eventually, inShortRun, isLongRun, linesOf, ownedCount } from './tools.ts'

/** What the verifiable tools print, a JSON object in each line. */
interface ToolEvent {
  readonly name: string
  readonly value?: string
  readonly partition?: number
  readonly offset?: number
  readonly count?: number
  readonly acked?: number
}

function eventsOf(lines: readonly string[], name: string): ToolEvent[] {
  return lines
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as ToolEvent)
    .filter(event => event.name === name)
}

function placesOf(events: readonly ToolEvent[]): string[] {
  return events.map(({ partition, offset, value }) => `${partition}/${offset}: ${value}`).toSorted()
}

/** The places in the order of the lines. */
function offsetsByPartition(events: readonly ToolEvent[]): Map<number, number[]> {
  const offsets = new Map<number, number[]>()
  for (const { partition = -1, offset = -1 } of events) {
    offsets.set(partition, [...(offsets.get(partition) ?? []), offset])
  }
  return offsets
}

for (const protocol of ['classic', 'consumer']) {
  test(
    `two ${protocol} VerifiableConsumers get each record of the VerifiableProducer once`,
    { skip: inShortRun },
    async t => {
      // Members follow their new assignment at the next heartbeat; Kafka's 5 s would only make the test wait.
      const heartbeat = ['group.consumer.min.heartbeat.interval.ms', 'group.consumer.heartbeat.interval.ms']
      const { tool, start } = await brokerWithTools(t, {
        config: Object.fromEntries(heartbeat.map(name => [name, '500']))
      })
      const topic = uniqueName('verified')
      await tool('kafka-topics', `--create --topic ${topic} --partitions 4`)
      const group = uniqueName('group')
      const member = `--topic ${topic} --group-id ${group} --group-protocol ${protocol} --verbose`
      const first = await start('kafka-verifiable-consumer', member)
      await first.until(lines => ownedCount(lines) === 4)
      const second = await start('kafka-verifiable-consumer', member)
      await second.until(lines => ownedCount(lines) === 2)
      await first.until(lines => ownedCount(lines) === 2)

      const load = `--topic ${topic} --max-messages 2000 --value-prefix 7 --repeating-keys 50`
      const produced = linesOf(await tool('kafka-verifiable-producer', load))
      const sent = eventsOf(produced, 'producer_send_success')
      const gotOf = (lines: readonly string[]): ToolEvent[] => eventsOf(lines, 'record_data')
      await eventually('both have got everything', () =>
        Promise.resolve(gotOf(first.lines).length + gotOf(second.lines).length >= sent.length)
      )
      const groups = await tool('kafka-groups', '--list')
      await second.stop('SIGTERM')
      await first.until(lines => ownedCount(lines) === 4)
      await first.stop('SIGTERM')

      assert.match(groups, new RegExp(`^${group}\\s+${protocol}\\s+consumer`, 'im'))
      assert.equal(eventsOf(produced, 'tool_data')[0]?.acked, 2000)
      assert.equal(sent.length, 2000)
      assert.deepEqual(placesOf([...gotOf(first.lines), ...gotOf(second.lines)]), placesOf(sent))
      for (const offsets of offsetsByPartition(gotOf(first.lines)).values()) assertAscending(offsets)
      for (const offsets of offsetsByPartition(gotOf(second.lines)).values()) assertAscending(offsets)
      assert.ok(gotOf(first.lines).length > 0 && gotOf(second.lines).length > 0)
    }
  )
}

function assertAscending(offsets: readonly number[]): void {
  for (const [index, offset] of offsets.entries()) {
    if (index > 0) assert.ok((offsets[index - 1] ?? 0) < offset, `offset ${offset} after ${offsets[index - 1]}`)
  }
}

for (const codec of isLongRun ? ['none', 'lz4', 'zstd'] : ['lz4']) {
  test(`the performance tools write and read 50,000 records with compression ${codec}`, async t => {
    const { tool } = await brokerWithTools(t)
    const topic = uniqueName('perf')
    const config = join(temporaryFolder(t), 'producer.properties')
    await writeFile(config, `acks=all\ncompression.type=${codec}\n`)
    await tool('kafka-topics', `--create --topic ${topic} --partitions 6`)

    const load = `--topic ${topic} --num-records 50000 --record-size 200 --throughput -1`
    const written = await tool('kafka-producer-perf-test', `${load} --command-config ${config}`)
    const ends = await tool('kafka-get-offsets', `--topic ${topic}`)
    const all = `--topic ${topic} --num-records 50000 --timeout 20000`
    const read = await tool('kafka-consumer-perf-test', `${all} --hide-header`)

    assert.match(linesOf(written).at(-1) ?? '', /^50000 records sent, /)
    assert.equal(sumOfEnds(ends), 50_000)
    // start, end, MB, MB/s, records, records/s, …
    const [, , , , count] = (linesOf(read).at(-1) ?? '').split(', ')
    assert.equal(Number(count), 50_000)
  })
}

/** The sum of the third fields of `topic:partition:offset`. */
function sumOfEnds(printed: string): number {
  return linesOf(printed).reduce((sum, line) => sum + Number(line.split(':')[2]), 0)
}

test('kafka-e2e-latency sees each of its records come back', { skip: inShortRun }, async t => {
  const { tool } = await brokerWithTools(t)
  const topic = uniqueName('latency')

  const load = `--topic ${topic} --num-records 1000 --producer-acks all --record-size 100`
  const printed = await tool('kafka-e2e-latency', load)

  assert.match(printed, /Avg latency: [\d.]+ ms/)
  assert.match(printed, /Percentiles: 50th = \d+, 99th = \d+, 99\.9th = \d+/)
  assert.equal(sumOfEnds(await tool('kafka-get-offsets', `--topic ${topic}`)), 1000)
})
