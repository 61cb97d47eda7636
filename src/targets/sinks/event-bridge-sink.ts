/**
 * EventBridge sink: PutEvents, 10 events in a request, several requests at once.
 *
 * A bus keeps no order and does not deduplicate; `resources: ["kafka:{id}"]` gives consumers something to tell an event
 * by. The value of a record is the event's `detail`, byte for byte.
 */

import type { EventBridgeClient } from '@aws-sdk/client-eventbridge'

import { awsClientOptions, type AwsDependencies, withoutRequestLog } from '../aws/aws-client.ts'
import { refuseProblems, regionOfArn, templateOf } from '../aws/aws-settings.ts'
import { AwsSink, DELIVERY_BYTES_MAX, DELIVERY_RECORDS_MAX } from '../aws/aws-sink.ts'
import { indexedAnswers } from '../aws/indexed-answers.ts'
import { type EventEntry, makeEvents } from '../aws/event-entries.ts'
import { EVENT_BYTES_MAX, eventBridgeSinkProblems, type EventBridgeSinkSettings } from './event-bridge-settings.ts'

/** What an EventBridge sink is made from. */
export interface EventBridgeSinkOptions extends Omit<EventBridgeSinkSettings, 'type'>, AwsDependencies {
  readonly name: string
}

/** Most events of a request. Source: EventBridge API reference, PutEvents. */
const ENTRIES_MAX = 10

/** Puts records on an event bus. */
export class EventBridgeSink extends AwsSink<EventEntry, EventBridgeClient> {
  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: EventBridgeSinkOptions) {
    refuseProblems(options, eventBridgeSinkProblems)
    const { eventBus = 'default', bytesMax = EVENT_BYTES_MAX, endpoint, environment } = options
    const region = options.region ?? regionOfArn(eventBus)
    const settings = {
      source: templateOf(options.source ?? 'comporta'),
      detailType: templateOf(options.detailType ?? '{topic}'),
      resources: (options.resources ?? []).map(templateOf),
      bytesMax
    }
    const sdk = import('@aws-sdk/client-eventbridge')
    super(
      options.name,
      {
        limits: {
          recordsMax: DELIVERY_RECORDS_MAX,
          bytesMax: DELIVERY_BYTES_MAX,
          recordBytesMax: bytesMax,
          isUnordered: true
        },
        entryLimits: { entriesMax: ENTRIES_MAX, bytesMax, groupEntriesMax: 1 },
        concurrency: options.concurrency,
        load: async () => {
          const { EventBridgeClient } = await sdk
          return withoutRequestLog(
            new EventBridgeClient(awsClientOptions({ region, endpoint, environment, service: 'EVENTBRIDGE' }))
          )
        },
        make: request => makeEvents(request, settings),
        send: async (client, entries, { abortSignal }) => {
          const { PutEventsCommand } = await sdk
          const command = new PutEventsCommand({
            Entries: entries.map(({ source, detailType, detail, resources, timeMs, traceHeader }) => ({
              EventBusName: eventBus,
              Source: source,
              DetailType: detailType,
              Detail: detail,
              ...(resources.length === 0 ? {} : { Resources: [...resources] }),
              ...(timeMs === undefined ? {} : { Time: new Date(timeMs) }),
              ...(traceHeader === undefined ? {} : { TraceHeader: traceHeader })
            }))
          })
          const { Entries = [] } = await client.send(command, { abortSignal })
          return indexedAnswers(Entries, entries.length)
        }
      },
      options
    )
  }
}
