/**
 * The least rights that look-ups need, as statements of an IAM policy.
 *
 * Source: Service authorization reference, Amazon DynamoDB and Amazon S3; DynamoDB developer guide, "Using IAM policy
 * conditions for fine-grained access control".
 */

import { arnOfNamed, type IamStatement, partitionOf, type PolicyPlace } from '../../targets/index.ts'
import type { EnrichmentSettings } from './settings.ts'
import { type AwsPlace, type DynamoDbSourceSettings, KEY_PLACE, type S3SourceSettings } from './source-settings.ts'

/**
 * What the look-ups need in AWS: `dynamodb:BatchGetItem` on the tables (and on the attributes that are asked for),
 * `s3:GetObject` on the objects that the name can mean, and where each key has an object `s3:ListBucket` (without it S3
 * answers 403 for an object that does not exist). Tables and buckets that are encrypted with a KMS key of one's own
 * need `kms:Decrypt` on that key as well.
 */
export function enrichmentPolicy(
  settings: readonly EnrichmentSettings[],
  place: PolicyPlace = {}
): readonly IamStatement[] {
  return settings.flatMap(({ from }) => {
    switch (from.type) {
      case 'dynamoDb':
        return [tableStatement(from, place)]
      case 's3':
        return bucketStatements(from, place)
      case 'http':
        return []
    }
  })
}

function tableStatement(source: DynamoDbSourceSettings, place: PolicyPlace): IamStatement {
  const { table, attributes, partitionKey, sortKey } = source
  const region = source.region ?? place.region
  const arn = arnOfNamed(table, { service: 'dynamodb', prefix: 'table/', region, accountId: place.accountId })
  const statement: IamStatement = { Action: ['dynamodb:BatchGetItem'], Resource: [arn] }
  if (attributes === undefined) return statement
  const keys = [typeof partitionKey === 'string' ? partitionKey : partitionKey.name, sortKey?.name]
  const names = [...attributes, ...keys].filter(name => name !== undefined)
  return {
    ...statement,
    Condition: {
      'ForAllValues:StringEquals': { 'dynamodb:Attributes': [...new Set(names)] },
      StringEqualsIfExists: { 'dynamodb:Select': ['SPECIFIC_ATTRIBUTES'] }
    }
  }
}

function bucketStatements(source: S3SourceSettings & AwsPlace, place: PolicyPlace): IamStatement[] {
  const { bucket, key } = source
  const isArn = bucket.startsWith('arn:')
  const arn = isArn ? bucket : `arn:${partitionOf(source.region ?? place.region ?? '')}:s3:::${bucket}`
  // A wildcard of its own in a name would allow more than the name; it is written so that it means itself.
  const name = key.split(KEY_PLACE).map(escaped).join('*')
  const read = { Action: ['s3:GetObject'], Resource: [`${arn}${isArn ? '/object' : ''}/${name}`] }
  // Without a condition on the prefix: the read that S3 answers has none.
  return key.includes(KEY_PLACE) ? [read, { Action: ['s3:ListBucket'], Resource: [arn] }] : [read]
}

/** Source: IAM user guide, "IAM policy elements: Variables and tags", special characters. */
function escaped(text: string): string {
  return text.replaceAll(/[*?$]/g, character => `\${${character}}`)
}
