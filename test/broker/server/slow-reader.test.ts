/** A client that asks for much and reads nothing must not make the broker hold it all. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  createTopicsApi,
  encodeRequest,
  fetchApi,
  produceApi,
  RecordBatchBuilder
} from '../../../src/protocol/index.ts'
import { brokerFor, connectTo } from '../support.ts'

const MEGABYTE = 1024 * 1024

/** Bytes of Buffers that something still holds: what waits to be collected does not count. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  assert.ok(typeof collect === 'function')
  collect()
  return process.memoryUsage().arrayBuffers
}

test('a client that pipelines fetches and reads nothing costs bounded memory, and gets every answer later', async t => {
  const broker = await brokerFor(t)
  const connection = await connectTo(t, broker)
  const topics = [{ name: 'big', numPartitions: 1, replicationFactor: 1 }]
  await connection.request(createTopicsApi, { version: 4, message: { topics, timeoutMs: 1000 } })
  const builder = new RecordBatchBuilder({ sizeBytesMax: MEGABYTE })
  builder.tryAppend(1_700_000_000_000, null, Buffer.alloc(900_000, 'x'))
  for (let index = 0; index < 4; index++) {
    const partitionData = [{ index: 0, records: builder.build() }]
    const message = { acks: -1, timeoutMs: 1000, topicData: [{ name: 'big', partitionData }] }
    await connection.request(produceApi, { version: 7, message })
  }
  const fetch = (correlationId: number): Buffer => {
    const partitions = [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 4 * MEGABYTE }]
    const message = { maxWaitMs: 0, minBytes: 1, maxBytes: 4 * MEGABYTE, topics: [{ topic: 'big', partitions }] }
    return Buffer.concat(encodeRequest(fetchApi, 4, { correlationId, clientId: 'slow' }, message))
  }

  const socket = connect(broker.port, broker.host)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  socket.pause()
  const before = heldBytes()
  const count = 100
  for (let index = 0; index < count; index++) socket.write(fetch(index))
  // Enough turns of another client that the slow one's requests would all have been served by now.
  for (let turn = 0; turn < 50; turn++) {
    connection.send(fetch(turn))
    await connection.frame()
  }
  const grown = heldBytes() - before
  assert.ok(
    grown < 60 * MEGABYTE,
    `${count} answers of 3.6 MB that nobody reads took ${Math.round(grown / MEGABYTE)} MB`
  )

  let received = 0
  const done = new Promise<void>(resolve => {
    socket.on('data', chunk => {
      received += chunk.length
      if (received >= count * 3_600_000) resolve()
    })
  })
  socket.resume()
  await done
})
