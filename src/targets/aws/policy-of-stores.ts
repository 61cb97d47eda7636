/** Rights for Step Functions, DynamoDB, S3, Lambda and Amazon MSK. */

import { regionOfArn } from './aws-settings.ts'
import {
  arnOf,
  arnOfNamed,
  type IamStatement,
  partitionOf,
  placeOf,
  type PolicyPlace,
  textOf
} from './policy-statement.ts'

type Settings = Readonly<Record<string, unknown>>

/** Of a version or an alias the state machine itself is the resource, too. */
export function stepFunctionsStatements(settings: Settings): readonly IamStatement[] {
  const arn = textOf(settings, 'stateMachineArn') ?? '*'
  const parts = arn.split(':')
  const whole = parts.slice(0, 7).join(':')
  return allow('states:StartExecution', whole === arn ? [arn] : [whole, arn])
}

/** With `condition` items go one by one, else in batches. */
export function dynamoDbStatements(settings: Settings, place: PolicyPlace): readonly IamStatement[] {
  const table = textOf(settings, 'table') ?? '*'
  const action = settings['condition'] === 'newer' ? 'dynamodb:PutItem' : 'dynamodb:BatchWriteItem'
  return allow(action, [arnOfNamed(table, { ...placeOf(settings, place), service: 'dynamodb', prefix: 'table/' })])
}

/** Objects of the bucket, or of an access point; and the KMS key where the settings name it by its ARN. */
export function s3Statements(settings: Settings, place: PolicyPlace): readonly IamStatement[] {
  const bucket = textOf(settings, 'bucket') ?? '*'
  const region = textOf(settings, 'region') ?? place.region ?? ''
  const objects = bucket.startsWith('arn:')
    ? `${bucket}/object/*`
    : `arn:${partitionOf(region)}:s3:::${bucket}/${keyPrefix(settings)}*`
  const kmsKey = textOf(settings, 'kmsKeyId')
  if (kmsKey?.startsWith('arn:') !== true) return allow('s3:PutObject', [objects])
  return [...allow('s3:PutObject', [objects]), ...allow('kms:GenerateDataKey', [kmsKey])]
}

/** What all keys begin with. */
function keyPrefix(settings: Settings): string {
  const prefix = (textOf(settings, 'key') ?? '').split('{')[0] ?? ''
  // In a policy these are wildcards and variables.
  return /[*?$}]/.test(prefix) ? '' : prefix
}

/** A function that is called by a version or an alias is a resource with that at its end. */
export function lambdaStatements(settings: Settings, place: PolicyPlace): readonly IamStatement[] {
  const given = textOf(settings, 'functionName') ?? '*'
  const [name = '*', own] = given.split(':function:').at(-1)?.split(':') ?? []
  const qualifier = textOf(settings, 'qualifier') ?? own
  const accountId =
    /^(\d{12}):function:/.exec(given)?.[1] ?? (given.startsWith('arn:') ? given.split(':')[4] : undefined)
  const region = textOf(settings, 'region') ?? regionOfArn(given) ?? place.region
  const resource = `function:${name}${qualifier === undefined ? '' : `:${qualifier}`}`
  return allow('lambda:InvokeFunction', [
    arnOf({ service: 'lambda', region, accountId: accountId ?? place.accountId, resource })
  ])
}

const WRITING = ['kafka-cluster:DescribeTopic', 'kafka-cluster:WriteData'] as const

/**
 * With `AWS_MSK_IAM` only. Settings do not name the cluster, so its name and id are `*`; narrow them by hand. The right
 * to write without duplicates is one on the cluster. Source: Amazon MSK developer guide, "Semantics of IAM
 * authorization policy actions and resources".
 */
export function kafkaStatements(settings: Settings, place: PolicyPlace): readonly IamStatement[] {
  const { sasl } = settings
  if (typeof sasl !== 'object' || sasl === null || !('mechanism' in sasl) || sasl.mechanism !== 'AWS_MSK_IAM') return []
  const region = 'region' in sasl && typeof sasl.region === 'string' ? sasl.region : place.region
  const { accountId } = place
  const topic = textOf(settings, 'topic') ?? '*'
  const name = topic.includes('{') ? `${topic.split('{')[0]}*` : topic
  const cluster = arnOf({ service: 'kafka', region, accountId, resource: 'cluster/*/*' })
  return [
    { Action: ['kafka-cluster:Connect', 'kafka-cluster:WriteDataIdempotently'], Resource: [cluster] },
    { Action: WRITING, Resource: [arnOf({ service: 'kafka', region, accountId, resource: `topic/*/*/${name}` })] }
  ]
}

function allow(action: string, resources: readonly string[]): readonly IamStatement[] {
  return [{ Action: [action], Resource: resources }]
}
