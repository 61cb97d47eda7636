/** Rights for SQS, SNS, EventBridge and Kinesis. */

import { regionOfQueueUrl } from './aws-settings.ts'
import { arnOf, arnOfNamed, type IamStatement, placeOf, type PolicyPlace, textOf } from './policy-statement.ts'

type Settings = Readonly<Record<string, unknown>>

/** `sqs:SendMessage` covers SendMessageBatch. Source: SQS developer guide, "SQS API permissions". */
export function sqsStatements(settings: Settings, place: PolicyPlace): readonly IamStatement[] {
  const url = textOf(settings, 'queueUrl') ?? ''
  const [name = '*', account] = (URL.parse(url)?.pathname ?? '').split('/').toReversed()
  const region = textOf(settings, 'region') ?? regionOfQueueUrl(url) ?? place.region
  const accountId = account !== undefined && /^\d{12}$/.test(account) ? account : place.accountId
  return allow('sqs:SendMessage', arnOf({ service: 'sqs', region, accountId, resource: name }))
}

/** `sns:Publish` covers PublishBatch. Source: SNS developer guide, "Amazon SNS message batching". */
export function snsStatements(settings: Settings): readonly IamStatement[] {
  return allow('sns:Publish', textOf(settings, 'topicArn') ?? '*')
}

/** Source: EventBridge user guide, "IAM policies for event buses". */
export function eventBridgeStatements(settings: Settings, place: PolicyPlace): readonly IamStatement[] {
  const bus = textOf(settings, 'eventBus') ?? 'default'
  return allow(
    'events:PutEvents',
    arnOfNamed(bus, { ...placeOf(settings, place), service: 'events', prefix: 'event-bus/' })
  )
}

/** Source: Kinesis developer guide, "Controlling access using IAM". */
export function kinesisStatements(settings: Settings, place: PolicyPlace): readonly IamStatement[] {
  const stream = textOf(settings, 'stream') ?? '*'
  return allow(
    'kinesis:PutRecords',
    arnOfNamed(stream, { ...placeOf(settings, place), service: 'kinesis', prefix: 'stream/' })
  )
}

function allow(action: string, resource: string): readonly IamStatement[] {
  return [{ Action: [action], Resource: [resource] }]
}
