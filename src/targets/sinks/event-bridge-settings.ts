/** Settings of an EventBridge target. Apart from the sink, which needs AWS's SDK. */

import { checkTemplate } from '../aws/aws-settings.ts'
import { OptionCheck } from './option-check.ts'
import { readRecordTemplate } from './record-template.ts'

/** An EventBridge target in the configuration. */
export interface EventBridgeSinkSettings {
  readonly type: 'eventBridge'
  /** Name or ARN of the event bus. Default `default`. */
  readonly eventBus?: string
  /** AWS region. Default: the one in the ARN, else AWS's own chain. */
  readonly region?: string
  /** Address of EventBridge: an emulator, a VPC endpoint. Default: `AWS_ENDPOINT_URL_EVENTBRIDGE`, … */
  readonly endpoint?: string
  /** Template of `source`. Default `comporta`. A record that has nothing for it is dead-lettered. */
  readonly source?: string
  /** Template of `detail-type`, at most 128 characters. Default `{topic}`. Without a text: dead-lettered. */
  readonly detailType?: string
  /** Templates of `resources`, for example `kafka:{id}`. Those without a text are left out. Default: none. */
  readonly resources?: readonly string[]
  /**
   * Most bytes of a request, and of an event. Integer, 1_024 to 1_048_576. Default 1_048_575 ("less than 1 MB"; 256 KB
   * until January 2026). Source: EventBridge API reference, PutEvents.
   */
  readonly bytesMax?: number
  /** Most requests at once. Integer, 1 to 50. Default 8. */
  readonly concurrency?: number
}

/** Default of `bytesMax`. */
export const EVENT_BYTES_MAX = 1_048_575

/** Every problem of an EventBridge target's settings. */
export function eventBridgeSinkProblems(given: unknown): string[] {
  const check = new OptionCheck(given)
  check.text('eventBus', {
    // Source: EventBridge API reference, PutEventsRequestEntry, `EventBusName`.
    pattern: /^(?:arn:aws[\w-]*:events:[a-z]{2,}(?:-[a-z]+)+-\d+:\d{12}:event-bus\/)?[/.\-_A-Za-z0-9]{1,256}$/,
    hint: 'the name or ARN of an event bus'
  })
  check.awsPlace()
  const source = checkTemplate(check, 'source')
  if (source?.startsWith('aws.') === true) check.report('source', 'begins with "aws.", which is reserved')
  checkTemplate(check, 'detailType')
  checkResources(check)
  check.integer('bytesMax', 1024, 1_048_576)
  check.integer('concurrency', 1, 50)
  return check.finish()
}

function checkResources(check: OptionCheck): void {
  const given = check.take('resources')
  if (given === undefined) return
  if (!Array.isArray(given)) {
    check.report('resources', 'are not a list of templates')
    return
  }
  for (const [index, text] of given.entries()) {
    const read = typeof text === 'string' && text !== '' ? readRecordTemplate(text) : 'is not a template'
    if (typeof read === 'string') check.report(`resources.${index}`, read)
  }
}
