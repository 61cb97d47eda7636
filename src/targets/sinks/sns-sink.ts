/**
 * SNS sink: PublishBatch, 10 messages in a request, several requests at once.
 *
 * In a FIFO topic the record's key is the group and its id the deduplication id.
 */

import type { SNSClient } from '@aws-sdk/client-sns'

import { awsClientOptions, type AwsDependencies, withoutRequestLog } from '../aws/aws-client.ts'
import { refuseProblems, regionOfArn } from '../aws/aws-settings.ts'
import { AwsSink } from '../aws/aws-sink.ts'
import { makeMessages, type MessageEntry } from '../aws/message-entries.ts'
import { batchAnswers, entryMembers, messageLimits, messageSettings } from '../aws/message-settings.ts'
import { snsSinkProblems, type SnsSinkSettings } from './sns-settings.ts'

/** What an SNS sink is made from. */
export interface SnsSinkOptions extends Omit<SnsSinkSettings, 'type'>, AwsDependencies {
  readonly name: string
}

/** What a topic takes unless it is set to take more. Source: SNS API reference, PublishBatch. */
const BYTES_MAX = 262_144

/** Publishes records to a topic. */
export class SnsSink extends AwsSink<MessageEntry, SNSClient> {
  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: SnsSinkOptions) {
    refuseProblems(options, snsSinkProblems)
    const { topicArn, bytesMax = BYTES_MAX, order = 'key', endpoint, environment } = options
    const isFifo = topicArn.endsWith('.fifo')
    const settings = messageSettings(options, { isFifo, bytesMax })
    const region = options.region ?? regionOfArn(topicArn)
    const sdk = import('@aws-sdk/client-sns')
    super(
      options.name,
      {
        ...messageLimits({ isFifo, bytesMax, order }),
        concurrency: options.concurrency,
        load: async () => {
          const { SNSClient } = await sdk
          return withoutRequestLog(new SNSClient(awsClientOptions({ region, endpoint, environment, service: 'SNS' })))
        },
        make: request => makeMessages(request, settings),
        send: async (client, entries, { abortSignal }) => {
          const { PublishBatchCommand } = await sdk
          const command = new PublishBatchCommand({
            TopicArn: topicArn,
            PublishBatchRequestEntries: entries.map((entry, position) => ({
              ...entryMembers(entry, position),
              Message: entry.body
            }))
          })
          return batchAnswers(await client.send(command, { abortSignal }), entries.length)
        }
      },
      options
    )
  }
}
