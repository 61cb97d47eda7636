/** A stream of `@platformatic/kafka`, offsets committed once a second. Arguments: bootstrap, topic, group. */

import { Consumer, MessagesStreamModes } from '@platformatic/kafka'

import { readArguments } from '../support/arguments.ts'
import { reportAtEnd, took } from './latencies.ts'

const argument = readArguments()
const consumer = new Consumer<Buffer, Buffer, Buffer, Buffer>({
  groupId: argument('group'),
  clientId: 'bench-platformatic',
  bootstrapBrokers: [argument('bootstrap')]
})
const stream = await consumer.consume({
  topics: [argument('topic')],
  mode: MessagesStreamModes.COMMITTED,
  fallbackMode: 'earliest',
  autocommit: 1000,
  maxWaitTime: 500,
  minBytes: 1
})
// Written by publish.ts.
stream.on('data', ({ value }) => took(JSON.parse(value.toString()) as { nanos: string }))
stream.on('error', error => {
  throw error
})
reportAtEnd(async () => {
  await stream.close()
  await consumer.close(true)
})
