/** What a distributor's role must be allowed to do for its look-ups, and nothing else. */

import type { EnrichmentSettings } from './settings.ts'
import { type DynamoDbSourceSettings, KEY_PLACE, type S3SourceSettings } from './source-settings.ts'

/** A statement of an IAM policy. Source: IAM JSON policy reference. */
export interface PolicyStatement {
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

/**
 * The least that the look-ups need: `dynamodb:BatchGetItem` on the tables, `s3:GetObject` on the objects below the
 * fixed part of their names, `s3:ListBucket` there (without it S3 answers 403 for an object that does not exist).
 * A name without region is of any region (`*`), of the account of the role.
 */
export function enrichmentPolicy(settings: readonly EnrichmentSettings[]): PolicyStatement[] {
  return settings.flatMap(({ from }) => {
    switch (from.type) {
      case 'dynamoDb':
        return [tableStatement(from)]
      case 's3':
        return bucketStatements(from)
      case 'http':
        return []
    }
  })
}

function tableStatement({ table, region, attributes, ...keys }: DynamoDbSourceSettings): PolicyStatement {
  const arn = table.startsWith('arn:') ? table : `arn:aws:dynamodb:${region ?? '*'}:*:table/${table}`
  const statement: PolicyStatement = { Effect: 'Allow', Action: ['dynamodb:BatchGetItem'], Resource: [arn] }
  if (attributes === undefined) return statement
  const partitionKey = typeof keys.partitionKey === 'string' ? keys.partitionKey : keys.partitionKey.name
  const names = [...attributes, partitionKey, ...(keys.sortKey === undefined ? [] : [keys.sortKey.name])]
  // Source: DynamoDB developer guide, "Using IAM policy conditions for fine-grained access control".
  return {
    ...statement,
    Condition: {
      'ForAllValues:StringEquals': { 'dynamodb:Attributes': [...new Set(names)] },
      StringEqualsIfExists: { 'dynamodb:Select': ['SPECIFIC_ATTRIBUTES'] }
    }
  }
}

function bucketStatements({ bucket, key }: S3SourceSettings): PolicyStatement[] {
  const arn = bucket.startsWith('arn:') ? bucket : `arn:aws:s3:::${bucket}`
  const objects = bucket.startsWith('arn:') ? `${arn}/object` : arn
  // `*` and `?` are wildcards of the policy; in a name they stand for themselves or for anything.
  const pattern = key.replaceAll(KEY_PLACE, '*')
  return [
    { Effect: 'Allow', Action: ['s3:GetObject'], Resource: [`${objects}/${pattern}`] },
    {
      Effect: 'Allow',
      Action: ['s3:ListBucket'],
      Resource: [arn],
      Condition: { StringLike: { 's3:prefix': [pattern] } }
    }
  ]
}
