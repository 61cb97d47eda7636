/**
 * The least rights that claims need, as statements of an IAM policy.
 *
 * Source: Service authorization reference, "Actions, resources, and condition keys for Amazon DynamoDB": what is
 * written in a transaction needs the right of each write, there is none for `TransactWriteItems`.
 */

import type { IdempotencySettings } from './settings.ts'

/** One statement; its effect is `Allow`. */
export interface IdempotencyStatement {
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
}

/** Where the function runs, for settings that do not say it. */
export interface IdempotencyPlace {
  readonly region?: string | undefined
  readonly accountId?: string | undefined
}

/**
 * What idempotency with these settings needs in AWS; nothing without a table. A table that is encrypted with a KMS key
 * of one's own needs the right to that key as well.
 */
export function idempotencyPolicy(
  { store }: Pick<IdempotencySettings, 'store'>,
  place: IdempotencyPlace = {}
): readonly IdempotencyStatement[] {
  if (store.type !== 'dynamoDb') return []
  const { table, region = place.region ?? '*' } = store
  const arn = table.startsWith('arn:')
    ? table
    : `arn:${partitionOf(region)}:dynamodb:${region}:${place.accountId ?? '*'}:table/${table}`
  return [{ Action: ['dynamodb:GetItem', 'dynamodb:PutItem'], Resource: [arn] }]
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}
