/**
 * The least rights that claims need, as statements of an IAM policy.
 *
 * Source: Service authorization reference, "Actions, resources, and condition keys for Amazon DynamoDB": what is
 * written in a transaction needs the right of each write, there is none for `TransactWriteItems`.
 */

import { arnOfNamed, type IamStatement, type PolicyPlace } from '../../targets/index.ts'
import type { IdempotencySettings } from './settings.ts'

/**
 * What idempotency with these settings needs in AWS; nothing without a table. A table that is encrypted with a KMS key
 * of one's own needs the right to that key as well.
 */
export function idempotencyPolicy(
  { store }: Pick<IdempotencySettings, 'store'>,
  place: PolicyPlace = {}
): readonly IamStatement[] {
  if (store.type !== 'dynamoDb') return []
  const { table, region = place.region } = store
  const arn = arnOfNamed(table, { service: 'dynamodb', prefix: 'table/', region, accountId: place.accountId })
  return [{ Action: ['dynamodb:GetItem', 'dynamodb:PutItem'], Resource: [arn] }]
}
