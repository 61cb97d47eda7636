/**
 * What a function pays before and beside its own work: reading events of 500 records of 200 bytes, and `kafkaBatch`
 * beside a loop written by hand that decodes, parses and keeps no order. CPU time of the process, so that it does not
 * depend on what else runs; samples of the cases alternate; medians and spread are printed.
 *
 * `npx node bench/lambda/events.ts [rounds=200] [samples=7]`
 */

import { readEvent } from '../../src/lambda/event/read-event.ts'
import { kafkaBatch } from '../../src/lambda/function.ts'

const RECORDS = 500
const RECORD_BYTES = 200
const [rounds = 200, samples = 7] = process.argv.slice(2).map(Number)

interface Message {
  readonly speed: number
}

const messages = Array.from({ length: RECORDS }, (_, index) => {
  const event = { codigo: 300 + (index % 4), truck_id: `truck-${index}`, speed: index % 90, padding: '' }
  return { ...event, padding: 'x'.repeat(RECORD_BYTES - JSON.stringify(event).length) }
})
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const aws = {
  eventSource: 'SelfManagedKafka',
  bootstrapServers: 'b:9092',
  records: {
    'mt-3': messages.map((message, index) => ({
      topic: 'mt',
      partition: 3,
      offset: 1_000 + index,
      timestamp: 1_700_000_000_000,
      timestampType: 'CREATE_TIME',
      key: base64(`truck-${index % 50}`),
      value: base64(JSON.stringify(message)),
      headers: [{ trace: [1, -2, 3] }]
    }))
  }
}
const ours = {
  topic: 'mt',
  partition: 3,
  messages,
  offsets: messages.map((_, index) => 1_000 + index),
  keys: messages.map((_, index) => `truck-${index % 50}`)
}

let sum = 0
const context = { getRemainingTimeInMillis: () => 60_000 }
const record = kafkaBatch<Message>(({ data }) => void (sum += data.speed))
const byKey = kafkaBatch<Message>(({ data }) => void (sum += data.speed), { order: 'key' })
const list = kafkaBatch<Message>(records => records.forEach(({ data }) => (sum += data.speed)), { batch: true })

const awsText = JSON.stringify(aws)
const oursText = JSON.stringify(ours)
const cases: Readonly<Record<string, () => unknown>> = {
  'JSON.parse of AWS’s event': () => JSON.parse(awsText),
  'AWS: readEvent': () => readEvent(aws),
  'AWS: readEvent and all values': () => readEvent(aws).partitions[0]?.messages.length,
  'AWS: by hand, values': () => {
    for (const { value } of aws.records['mt-3'])
      sum += (JSON.parse(Buffer.from(value, 'base64').toString()) as Message).speed
  },
  'AWS: kafkaBatch, values': () => record(aws, context),
  'AWS: kafkaBatch by key, values': () => byKey(aws, context),
  'AWS: kafkaBatch with lists, values': () => list(aws, context),
  'JSON.parse of Comporta’s payload': () => JSON.parse(oursText),
  'Comporta: readEvent': () => readEvent(ours),
  'Comporta: kafkaBatch': () => record(ours, context),
  'Comporta: kafkaBatch by key': () => byKey(ours, context),
  'Comporta: kafkaBatch with lists': () => list(ours, context)
}

/** CPU milliseconds of one call. */
async function sample(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round += 1) await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000 / rounds
}

const results = new Map(Object.keys(cases).map(name => [name, new Array<number>()]))
for (let turn = -1; turn < samples; turn += 1) {
  for (const [name, work] of Object.entries(cases)) {
    const value = await sample(work)
    // The first is for the compiler.
    if (turn >= 0) results.get(name)?.push(value)
  }
}
console.log(`${RECORDS} records of ${RECORD_BYTES} bytes, CPU ms an event: median (lowest to highest of ${samples})`)
for (const [name, values] of results) {
  const sorted = values.toSorted((left, right) => left - right)
  const at = (index: number): string => (sorted.at(index) ?? 0).toFixed(3)
  console.log(`${name.padEnd(36)} ${at(Math.floor(samples / 2))} (${at(0)} to ${at(-1)})`)
}
if (sum < 0) console.log(sum)
