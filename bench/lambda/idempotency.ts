/**
 * What idempotency costs a batch: the distributor with two HTTP services and batches of 500 records of 200 bytes,
 * plain, with claims by offset in memory and in DynamoDB, with claims by business id, and with one item per record as
 * `@aws-lambda-powertools/idempotency` keeps it (a conditional put before and an update after each record).
 *
 * Three processes: this one is the function and nothing else, so its CPU time is the function's; the services and
 * dynalite, which stands for DynamoDB, have theirs. One invocation at a time, as in a Lambda environment. The ways
 * take turns within each sample, so that whatever else the machine does hits all of them.
 *
 * `npm run bench:idempotency -- [samples=5] [batches=300] [ways=plain,memory,offset,id,item per record]`
 */

import { type ChildProcess, fork } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import os from 'node:os'

import { CreateTableCommand, DynamoDBClient, PutItemCommand, UpdateItemCommand } from '@aws-sdk/client-dynamodb'

import { createBatchGuard } from '../../src/lambda/idempotency/create-guard.ts'
import { createDistributor, type Distributor } from '../../src/lambda/function.ts'

const RECORDS = 500
const RECORD_BYTES = 200
const TABLE = 'claims'
const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }

/** Ways to deliver a batch. */
type Way = 'plain' | 'memory' | 'offset' | 'id' | 'item per record'
const WAYS: readonly Way[] = ['plain', 'memory', 'offset', 'id', 'item per record']

function serve(role: string, delayMs: number): void {
  if (role === 'dynalite') {
    const dynalite = createRequire(import.meta.url)('dynalite') as (options: { createTableMs: number }) => Server
    listen(dynalite({ createTableMs: 0 }))
    return
  }
  const server = createServer((incoming, response) => {
    incoming.resume()
    incoming.on('end', () => {
      if (delayMs === 0) response.end('{}')
      else setTimeout(() => response.end('{}'), delayMs)
    })
  })
  listen(server)
}

function listen(server: Server): void {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) process.send?.(address.port)
  })
}

async function start(role: string, delayMs = 0): Promise<{ url: string; child: ChildProcess }> {
  const child = fork(new URL(import.meta.url), [role, String(delayMs)])
  const port = await new Promise<unknown>(resolve => child.once('message', resolve))
  return { url: `http://127.0.0.1:${String(port)}`, child }
}

function event(firstOffset: number): object {
  const messages = Array.from({ length: RECORDS }, (_, index) => {
    const message = {
      codigo: 300 + (index % 4),
      truck_id: `truck-${index}`,
      id: `trip-${firstOffset + index}`,
      padding: ''
    }
    message.padding = 'x'.repeat(RECORD_BYTES - JSON.stringify(message).length)
    return message
  })
  const offsets = messages.map((_, index) => firstOffset + index)
  return { topic: 'mt-c300', partition: 3, messages, offsets, timestamps: offsets.map(() => 1.7e12) }
}

const context = { getRemainingTimeInMillis: () => 30_000 }
const units = { read: 0, write: 0 }

function distributorOf(way: Way, services: readonly string[], endpoint: string): Distributor {
  const [heavy = '', light = ''] = services
  const routing = {
    targets: { heavy, light },
    routes: [
      { values: [300, 301, 302], targets: ['heavy'] },
      { values: [303], targets: ['light'] }
    ]
  }
  if (way === 'plain' || way === 'item per record') return createDistributor(routing)
  const store = { type: 'dynamoDb', table: TABLE, endpoint } as const
  const namespace = way
  if (way === 'memory') return createDistributor({ ...routing, idempotency: { store: { type: 'memory' } } })
  const options = { onCapacity: (kind: 'read' | 'write', count: number) => (units[kind] += count) }
  if (way === 'offset') return createDistributor({ ...routing, guard: createBatchGuard({ store, namespace }, options) })
  return createDistributor({ ...routing, idempotency: { store, namespace, key: { field: 'id' } } })
}

/** As Powertools does it: `INPROGRESS` by a conditional put, the record, then `COMPLETED`; records side by side. */
function itemPerRecord(client: DynamoDBClient, distributor: Distributor): Distributor {
  const run: (given: unknown) => Promise<object> = async given => {
    // What `event` made.
    const { offsets } = given as { offsets: number[] }
    const now = Math.floor(Date.now() / 1_000)
    await atOnce(offsets, async offset => {
      await client.send(
        new PutItemCommand({
          TableName: TABLE,
          Item: {
            id: { S: `distributor#mt-c300-3-${offset}` },
            expiration: { N: String(now + 3_600) },
            in_progress_expiration: { N: String(Date.now() + 30_000) },
            status: { S: 'INPROGRESS' }
          },
          ConditionExpression:
            'attribute_not_exists(#id) OR #expiry < :now OR (#status = :inprogress AND #progress < :now_ms)',
          ExpressionAttributeNames: {
            '#id': 'id',
            '#expiry': 'expiration',
            '#status': 'status',
            '#progress': 'in_progress_expiration'
          },
          ExpressionAttributeValues: {
            ':now': { N: String(now) },
            ':now_ms': { N: String(Date.now()) },
            ':inprogress': { S: 'INPROGRESS' }
          }
        })
      )
    })
    const answer = await distributor(given, context)
    await atOnce(offsets, async offset => {
      await client.send(
        new UpdateItemCommand({
          TableName: TABLE,
          Key: { id: { S: `distributor#mt-c300-3-${offset}` } },
          UpdateExpression: 'SET #status = :status, #expiry = :expiry',
          ExpressionAttributeNames: { '#status': 'status', '#expiry': 'expiration' },
          ExpressionAttributeValues: { ':status': { S: 'COMPLETED' }, ':expiry': { N: String(now + 3_600) } }
        })
      )
    })
    return answer
  }
  return Object.assign(run, { close: () => distributor.close() })
}

async function atOnce<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  let next = 0
  const line = async (): Promise<void> => {
    for (let each = all[next++]; each !== undefined; each = all[next++]) await work(each)
  }
  await Promise.all(Array.from({ length: 50 }, line))
}

interface Figures {
  readonly wallMs: number
  readonly cpuMs: number
}

let offset = 0

async function sample(distributor: Distributor, batches: number): Promise<Figures> {
  const events = Array.from({ length: batches }, () => event((offset += RECORDS)))
  const cpu = process.cpuUsage()
  const begin = performance.now()
  for (const each of events) {
    const answer = await distributor(each, context)
    if (JSON.stringify(answer) !== '{}') throw new Error(JSON.stringify(answer).slice(0, 500))
  }
  const wallMs = (performance.now() - begin) / batches
  const { user, system } = process.cpuUsage(cpu)
  return { wallMs, cpuMs: (user + system) / 1_000 / batches }
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0
}

function spread(values: readonly number[]): string {
  return `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`
}

interface Round {
  readonly delayMs: number
  readonly samples: number
  readonly batches: number
  readonly endpoint: string
  readonly named: readonly Way[]
}

async function round({ delayMs, samples, batches, endpoint, named }: Round): Promise<void> {
  const services = [await start('service', delayMs), await start('service', delayMs)]
  const urls = services.map(each => each.url)
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1', credentials })
  const ways = new Map<Way, { readonly distributor: Distributor; readonly batches: number; figures: Figures[] }>()
  for (const way of named) {
    const own = distributorOf(way, urls, endpoint)
    const isPerRecord = way === 'id' || way === 'item per record'
    const distributor = way === 'item per record' ? itemPerRecord(client, own) : own
    ways.set(way, { distributor, batches: isPerRecord ? Math.max(2, Math.round(batches / 100)) : batches, figures: [] })
  }
  for (const { distributor, batches: count } of ways.values()) await sample(distributor, Math.max(2, count >>> 1))
  units.read = 0
  units.write = 0
  for (let number = 0; number < samples; number += 1) {
    for (const way of ways.values()) way.figures.push(await sample(way.distributor, way.batches))
  }
  const plain = ways.get('plain')?.figures ?? []
  console.log(`\nservices answer ${delayMs === 0 ? 'at once' : `after ${delayMs} ms`}; median (least to most)`)
  for (const [way, { figures }] of ways) {
    const wall = figures.map(each => each.wallMs)
    const cpu = figures.map(each => each.cpuMs)
    const ratio = (values: readonly number[], name: keyof Figures): string =>
      (median(values) / median(plain.map(each => each[name]))).toFixed(2)
    console.log(
      `  ${way.padEnd(16)} wall ms/batch ${spread(wall).padEnd(26)} x${ratio(wall, 'wallMs').padEnd(7)}` +
        ` CPU ms/batch ${spread(cpu).padEnd(26)} x${ratio(cpu, 'cpuMs')}`
    )
  }
  const records = samples * batches * RECORDS
  const perMillion = (count: number): string => Math.round((count / records) * 1e6).toLocaleString('en')
  console.log(
    `  by offset: ${perMillion(units.write)} write and ${perMillion(units.read)} read units per million records`
  )
  for (const { distributor } of ways.values()) await distributor.close()
  client.destroy()
  for (const { child } of services) child.kill()
}

async function main(): Promise<void> {
  const [samples = '5', batches = '300', ways = WAYS.join(',')] = process.argv.slice(2)
  const named = WAYS.filter(way => ways.split(',').includes(way))
  const dynalite = await start('dynalite')
  const client = new DynamoDBClient({ endpoint: dynalite.url, region: 'us-east-1', credentials })
  await client.send(
    new CreateTableCommand({
      TableName: TABLE,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST'
    })
  )
  client.destroy()
  console.log(`node ${process.version}, ${os.cpus()[0]?.model}, ${os.cpus().length} CPUs, ${RECORDS} records per batch`)
  const size = { samples: Number(samples), batches: Number(batches), endpoint: dynalite.url, named }
  for (const delayMs of [0, 20])
    await round({ ...size, delayMs, batches: delayMs === 0 ? size.batches : size.batches >>> 1 })
  dynalite.child.kill()
}

const [role = '', delayMs = '0'] = process.argv.slice(2)
if (process.send !== undefined && (role === 'service' || role === 'dynalite')) serve(role, Number(delayMs))
else await main()
