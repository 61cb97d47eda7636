/**
 * Kinesis sink: PutRecords, up to 500 records in a request, several requests at once.
 *
 * PutRecords goes on after a record that it could not take (a shard over its limit), so a request holds each partition
 * key at most once, and the next request of a key waits for the answer to the last. Kinesis does not deduplicate.
 */

import type { KinesisClient } from '@aws-sdk/client-kinesis'
import type { NodeHttpHandler } from '@smithy/node-http-handler'

import { awsClientOptions, type AwsDependencies, type AwsHttpSettings, withoutRequestLog } from '../aws/aws-client.ts'
import { refuseProblems, regionOfArn, templateOf } from '../aws/aws-settings.ts'
import { AwsSink, DELIVERY_BYTES_MAX, DELIVERY_RECORDS_MAX } from '../aws/aws-sink.ts'
import { indexedAnswers } from '../aws/indexed-answers.ts'
import { makeStreamEntries, type StreamEntry } from '../aws/stream-entries.ts'
import { KINESIS_BYTES, kinesisSinkProblems, type KinesisSinkSettings } from './kinesis-settings.ts'

/** What a Kinesis sink is made from. */
export interface KinesisSinkOptions extends Omit<KinesisSinkSettings, 'type'>, AwsDependencies {
  readonly name: string
}

/** Most records of a request. Source: Kinesis API reference, PutRecords. */
const ENTRIES_MAX = 500

/** Puts records into a stream. */
export class KinesisSink extends AwsSink<StreamEntry, KinesisClient> {
  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: KinesisSinkOptions) {
    refuseProblems(options, kinesisSinkProblems)
    const { stream, bytesMax = KINESIS_BYTES.request, recordBytesMax = KINESIS_BYTES.record, order = 'key' } = options
    const { endpoint, environment, requestRecordsMax: entriesMax = ENTRIES_MAX } = options
    const place = stream.startsWith('arn:') ? { StreamARN: stream } : { StreamName: stream }
    const region = options.region ?? regionOfArn(stream)
    const settings = { partitionKey: templateOf(options.partitionKey ?? '{key}'), recordBytesMax }
    const sdk = import('@aws-sdk/client-kinesis')
    super(
      options.name,
      {
        limits: { recordsMax: DELIVERY_RECORDS_MAX, bytesMax: DELIVERY_BYTES_MAX, recordBytesMax },
        entryLimits: { entriesMax, bytesMax, groupEntriesMax: order === 'key' ? 1 : entriesMax },
        concurrency: options.concurrency,
        load: async () => {
          const { KinesisClient } = await sdk
          const client = awsClientOptions({ region, endpoint, environment, service: 'KINESIS' })
          return withoutRequestLog(
            new KinesisClient({ ...client, requestHandler: await http1Handler(client.requestHandler) })
          )
        },
        make: request => makeStreamEntries(request, settings),
        send: async (client, entries, { abortSignal }) => {
          const { PutRecordsCommand } = await sdk
          const command = new PutRecordsCommand({
            ...place,
            Records: entries.map(({ data, partitionKey }) => ({ Data: data, PartitionKey: partitionKey }))
          })
          const { Records = [] } = await client.send(command, { abortSignal })
          return indexedAnswers(Records, entries.length)
        }
      },
      options
    )
  }
}

/**
 * The client would speak HTTP/2, which no emulator does, and which gains nothing for single large requests. Where the
 * package is missing (it is not promised that Lambda's own SDK has it), HTTP/2 is what there is.
 */
async function http1Handler(settings: AwsHttpSettings): Promise<NodeHttpHandler | { requestTimeout: number }> {
  try {
    const smithy = await import('@smithy/node-http-handler')
    return new smithy.NodeHttpHandler(settings)
  } catch {
    return { requestTimeout: settings.requestTimeout }
  }
}
