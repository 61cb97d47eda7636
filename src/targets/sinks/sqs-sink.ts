/**
 * SQS sink: SendMessageBatch, 10 messages in a request, several requests at once.
 *
 * In a FIFO queue the record's key is the group and its id the deduplication id,
 * so that a record which is sent again within five minutes is there once.
 */

import type { SQSClient } from '@aws-sdk/client-sqs'

import { awsClientOptions, type AwsDependencies, withoutRequestLog } from '../aws/aws-client.ts'
import { refuseProblems } from '../aws/aws-settings.ts'
import { AwsSink } from '../aws/aws-sink.ts'
import { makeMessages, type MessageEntry } from '../aws/message-entries.ts'
import { batchAnswers, entryMembers, messageLimits, messageSettings } from '../aws/message-settings.ts'
import {
  endpointOfSqs,
  isFifoQueue,
  regionOfSqs,
  SQS_BYTES_MAX,
  sqsSinkProblems,
  type SqsSinkSettings
} from './sqs-settings.ts'

/** What an SQS sink is made from. */
export interface SqsSinkOptions extends Omit<SqsSinkSettings, 'type'>, AwsDependencies {
  readonly name: string
}

/** Sends records to a queue. */
export class SqsSink extends AwsSink<MessageEntry, SQSClient> {
  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: SqsSinkOptions) {
    refuseProblems(options, sqsSinkProblems)
    const { queueUrl, bytesMax = SQS_BYTES_MAX, order = 'key', environment } = options
    const isFifo = isFifoQueue(queueUrl)
    const settings = messageSettings(options, { isFifo, bytesMax })
    const region = regionOfSqs(options)
    const endpoint = endpointOfSqs(options)
    const sdk = import('@aws-sdk/client-sqs')
    super(
      options.name,
      {
        ...messageLimits({ isFifo, bytesMax, order }),
        concurrency: options.concurrency,
        load: async () => {
          const { SQSClient } = await sdk
          return withoutRequestLog(new SQSClient(awsClientOptions({ region, endpoint, environment, service: 'SQS' })))
        },
        make: request => makeMessages(request, settings),
        send: async (client, entries, { abortSignal }) => {
          const { SendMessageBatchCommand } = await sdk
          const command = new SendMessageBatchCommand({
            QueueUrl: queueUrl,
            Entries: entries.map((entry, position) => ({
              ...entryMembers(entry, position),
              MessageBody: entry.body
            }))
          })
          return batchAnswers(await client.send(command, { abortSignal }), entries.length)
        }
      },
      options
    )
  }
}
