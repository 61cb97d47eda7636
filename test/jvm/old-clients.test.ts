/**
 * Older Java clients on our broker, through the tools of their releases: they
 * speak older versions of every API, and transactions as they were before
 * KIP-890.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { runProcess, spawnBound } from '../support/child-process.ts'
import { uniqueName } from '../support/cluster.ts'
import { javaArgs, KAFKA_TOOLS, OLD_RELEASES, oldToolsClassPath } from '../support/kafka-jvm.ts'
import { brokerWithTools, inShortRun, isLongRun, linesOf, ownedCount, type ToolName, watch } from './tools.ts'

type OldRelease = (typeof OLD_RELEASES)[number]

async function oldTool(release: OldRelease, name: ToolName, args: string): Promise<string> {
  const java = await javaArgs(await oldToolsClassPath(release))
  return (await runProcess('java', [...java, KAFKA_TOOLS[name], ...args.split(' ')])).stdout
}

/** The names of all events that a verifiable tool prints, with one of their fields. */
function eventsOf(printed: string, name: string): Record<string, unknown>[] {
  return linesOf(printed)
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as Record<string, unknown>)
    .filter(event => event['name'] === name)
}

for (const release of isLongRun ? OLD_RELEASES : []) {
  test(`the Java client ${release} produces, consumes in a group and copies in transactions`, async t => {
    const { broker, tool } = await brokerWithTools(t)
    const [topic, copy] = [uniqueName('old'), uniqueName('copy')]
    for (const name of [topic, copy]) await tool('kafka-topics', `--create --topic ${name} --partitions 1`)
    const option = release === '2.1.1' ? '--broker-list' : '--bootstrap-server'
    const server = `${option} ${broker.bootstrapServers}`
    const load = `--topic ${topic} --max-messages 500 --value-prefix 1`
    const input = `--input-topic ${topic} --input-partition 0 --output-topic ${copy} --consumer-group copiers`
    const transactions = `--transactional-id ${copy} --transaction-size 50 --enable-random-aborts`
    const read = `--topic ${copy} --from-beginning --isolation-level read_committed --max-messages 500`

    const produced = await oldTool(release, 'kafka-verifiable-producer', `${server} ${load}`)
    const group = `--topic ${topic} --group-id readers --max-messages 500 --verbose`
    const consumed = await oldTool(release, 'kafka-verifiable-consumer', `${server} ${group}`)
    const copier = `--broker-list ${broker.bootstrapServers} ${input} ${transactions}`
    await oldTool(release, 'transactional-message-copier', copier)
    const copied = await tool('kafka-console-consumer', `${read} --timeout-ms 10000`)
    const described = await tool('kafka-consumer-groups', '--describe --group readers')

    const values = Array.from({ length: 500 }, (_, index) => `1.${index}`)
    assert.equal(eventsOf(produced, 'tool_data')[0]?.['acked'], 500)
    assert.deepEqual(
      eventsOf(consumed, 'record_data').map(event => event['value']),
      values
    )
    assert.match(described, new RegExp(`^readers\\s+${topic}\\s+0\\s+500\\s+500\\s+0\\s`, 'm'))
    assert.deepEqual(linesOf(copied), values)
  })
}

test(
  'a Java client of an early KIP-848 shares a group with a current one and a classic one',
  { skip: inShortRun },
  async t => {
    const heartbeat = ['group.consumer.min.heartbeat.interval.ms', 'group.consumer.heartbeat.interval.ms']
    const { broker, tool, start } = await brokerWithTools(t, {
      config: Object.fromEntries(heartbeat.map(name => [name, '500']))
    })
    const topic = uniqueName('shared')
    await tool('kafka-topics', `--create --topic ${topic} --partitions 6`)
    const member = `--topic ${topic} --group-id mixed`
    const owns = (count: number) => (lines: readonly string[]) => ownedCount(lines) === count

    const old = await startOld(t, `--bootstrap-server ${broker.bootstrapServers} ${member} --group-protocol consumer`)
    await old.until(owns(6))
    const current = await start('kafka-verifiable-consumer', `${member} --group-protocol consumer`)
    await Promise.all([old.until(owns(3)), current.until(owns(3))])
    const classic = await start('kafka-verifiable-consumer', `${member} --group-protocol classic`)
    await Promise.all([old.until(owns(2)), current.until(owns(2)), classic.until(owns(2))])
    const groups = await tool('kafka-groups', '--list')
    await old.stop('SIGTERM')
    await Promise.all([current.until(owns(3)), classic.until(owns(3))])

    assert.match(groups, /^mixed\s+Consumer\s+consumer/m)
  }
)

async function startOld(t: TestContext, args: string): Promise<ReturnType<typeof watch>> {
  const java = await javaArgs(await oldToolsClassPath('3.9.1'))
  return watch(t, spawnBound('java', [...java, KAFKA_TOOLS['kafka-verifiable-consumer'], ...args.split(' ')]))
}
