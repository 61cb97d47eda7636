/**
 * The least rights that a target needs, as statements of an IAM policy.
 *
 * Resources are as narrow as the settings tell: where they have no region or account, as with the name of a stream,
 * those are `*`. A queue, topic, bus or stream that is encrypted with a KMS key of one's own needs the right to
 * that key as well, which settings do not name. Pure.
 *
 * Source: Service authorization reference, one page per service.
 */

import { eventBridgeStatements, kinesisStatements, snsStatements, sqsStatements } from './policy-of-entries.ts'
import {
  dynamoDbStatements,
  kafkaStatements,
  lambdaStatements,
  s3Statements,
  stepFunctionsStatements
} from './policy-of-stores.ts'
import type { IamStatement, PolicyPlace } from './policy-statement.ts'

/** Makes a target's statements from settings that were checked. */
type Statements = (settings: Readonly<Record<string, unknown>>, place: PolicyPlace) => readonly IamStatement[]

/** Targets in AWS, by type. */
const STATEMENTS: Readonly<Record<string, Statements>> = {
  sqs: sqsStatements,
  sns: snsStatements,
  eventBridge: eventBridgeStatements,
  kinesis: kinesisStatements,
  stepFunctions: stepFunctionsStatements,
  dynamoDb: dynamoDbStatements,
  s3: s3Statements,
  lambda: lambdaStatements,
  kafka: kafkaStatements
}

/**
 * What a target needs; nothing for one that is not in AWS.
 *
 * @param settings - A target of the distributor, as configured: its address, or an object with `type`.
 * @param place - Region and account of the function, for settings that do not say them.
 */
export function sinkPolicy(settings: unknown, place: PolicyPlace = {}): readonly IamStatement[] {
  if (typeof settings !== 'object' || settings === null || !('type' in settings)) return []
  const { type } = settings
  const make = typeof type === 'string' && Object.hasOwn(STATEMENTS, type) ? STATEMENTS[type] : undefined
  // Boundary: an object with members of any type; each is looked at before it is used.
  return make?.(settings as unknown as Readonly<Record<string, unknown>>, place) ?? []
}
