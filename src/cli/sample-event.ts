/** Events to try a function with. */

import { PipelineError } from '../core/index.ts'

const KINDS = ['comporta', 'kafka'] as const

/**
 * An event as JSON text: `comporta`, the dispatcher's payload, or `kafka`, that of AWS's event source mapping for MSK.
 *
 * @throws PipelineError `ERR_CLI_USAGE` for another kind.
 */
export function sampleEvent(kind: string, recordCount: number): string {
  const values = Array.from({ length: recordCount }, (_, index) => ({
    codigo: 300 + (index % 4),
    truck_id: `truck-${index % 10}`,
    speed: 40 + (index % 60)
  }))
  if (kind === 'comporta') return comportaEvent(values)
  if (kind === 'kafka') return kafkaEvent(values)
  throw new PipelineError('ERR_CLI_USAGE', `--event: no sample is called "${kind}"; there are ${KINDS.join(', ')}`)
}

const TIMESTAMP = 1_767_225_600_000

function comportaEvent(messages: readonly { readonly truck_id: string }[]): string {
  const offsets = messages.map((_, index) => index)
  const timestamps = messages.map((_, index) => TIMESTAMP + index)
  const keys = messages.map(each => each.truck_id)
  return JSON.stringify({ topic: 'sample', partition: 0, messages, offsets, timestamps, keys })
}

function kafkaEvent(values: readonly { readonly truck_id: string }[]): string {
  const records = values.map((value, offset) => ({
    topic: 'sample',
    partition: 0,
    offset,
    timestamp: TIMESTAMP + offset,
    timestampType: 'CREATE_TIME',
    key: Buffer.from(value.truck_id).toString('base64'),
    value: Buffer.from(JSON.stringify(value)).toString('base64'),
    // Bytes of a header are signed in AWS's event.
    headers: [{ source: [...new Int8Array(Buffer.from('sample'))] }]
  }))
  const eventSourceArn = 'arn:aws:kafka:us-east-1:000000000000:cluster/sample/00000000-0000-0000-0000-000000000000-1'
  const bootstrapServers = 'b-1.sample.kafka.us-east-1.amazonaws.com:9092'
  return JSON.stringify({
    eventSource: 'aws:kafka',
    eventSourceArn,
    bootstrapServers,
    records: { 'sample-0': records }
  })
}
