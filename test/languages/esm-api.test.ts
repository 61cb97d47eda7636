/** AWS's API for event source mappings, by AWS's own SDK. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  CreateEventSourceMappingCommand,
  type CreateEventSourceMappingCommandInput,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand
} from '@aws-sdk/client-lambda'

import { serveMappingApi } from '../../src/cli/roles/esm-api.ts'
import { startEventSourceMapping } from '../../src/lambda/esm/event-source-mapping.ts'
import { MappingApi } from '../../src/lambda/esm/mapping-api.ts'
import { esmWorld, startFunction, until } from '../lambda/esm-support.ts'

const named = (name: string) => (error: unknown) => error instanceof Error && error.name === name

test('a mapping is made, found, changed and deleted by AWS’s SDK, and invokes in between', async t => {
  const world = await esmWorld(t)
  const service = await startFunction(t)
  const { cluster } = world
  const api = new MappingApi({
    start: async options => {
      const mapping = await startEventSourceMapping({ ...options, cluster, endpoint: service.endpoint })
      return { stop: async () => void (await mapping.drain(5000)) }
    }
  })
  const served = await serveMappingApi(api, 0)
  world.ends.push(() => served.close())
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const lambda = new LambdaClient({ endpoint: served.endpoint, region: 'us-east-1', credentials, maxAttempts: 1 })
  t.after(() => lambda.destroy())

  await world.append({ text: 'a' })
  const request: CreateEventSourceMappingCommandInput = {
    FunctionName: 'orders',
    Topics: [world.topic],
    SelfManagedEventSource: { Endpoints: { KAFKA_BOOTSTRAP_SERVERS: ['b-1:9092'] } },
    StartingPosition: 'TRIM_HORIZON',
    MaximumBatchingWindowInSeconds: 0
  }
  const created = await lambda.send(new CreateEventSourceMappingCommand(request))
  const { UUID } = created
  assert.match(UUID ?? '', /^[0-9a-f-]{36}$/)
  assert.equal(created.State, 'Enabled')
  assert.equal(created.BatchSize, 100)
  assert.equal(created.FunctionArn, 'arn:aws:lambda:us-east-1:000000000000:function:orders')
  assert.equal(created.SelfManagedKafkaEventSourceConfig?.ConsumerGroupId, UUID)
  await until(() => service.texts.length === 1)
  await assert.rejects(lambda.send(new CreateEventSourceMappingCommand(request)), named('ResourceConflictException'))
  await assert.rejects(
    lambda.send(new CreateEventSourceMappingCommand({ ...request, Topics: ['other'], MaximumRetryAttempts: 2 })),
    (error: unknown) =>
      named('InvalidParameterValueException')(error) &&
      error instanceof Error &&
      /Unsupported 'maximumRetryAttempts' parameter/.test(error.message)
  )

  const disabled = await lambda.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: false, BatchSize: 7 }))
  assert.deepEqual([disabled.State, disabled.BatchSize], ['Disabled', 7])
  await world.append({ text: 'b' })
  assert.equal((await lambda.send(new GetEventSourceMappingCommand({ UUID }))).State, 'Disabled')
  assert.equal(service.texts.length, 1)
  await lambda.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: true }))
  await until(() => service.texts.length === 2)
  const { EventSourceMappings = [] } = await lambda.send(
    new ListEventSourceMappingsCommand({ FunctionName: 'orders:live' })
  )
  assert.deepEqual(
    EventSourceMappings.map(each => each.UUID),
    [UUID]
  )
  const none = await lambda.send(new ListEventSourceMappingsCommand({ FunctionName: 'other' }))
  assert.deepEqual(none.EventSourceMappings, [])

  assert.equal((await lambda.send(new DeleteEventSourceMappingCommand({ UUID }))).State, 'Deleting')
  await assert.rejects(lambda.send(new GetEventSourceMappingCommand({ UUID })), named('ResourceNotFoundException'))
  const browser = await fetch(`${served.endpoint}/2015-03-31/event-source-mappings/`, {
    headers: { origin: 'http://evil.example' }
  })
  assert.equal(browser.status, 403)
})
