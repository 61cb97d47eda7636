/**
 * Where the outcome of an asynchronous invocation can go, by ARN.
 * Source: Lambda API reference, `DestinationConfig`, `DeadLetterConfig`.
 */

/** What an ARN names. */
export type Destination =
  | { readonly kind: 'function'; readonly arn: string; readonly name: string; readonly qualifier: string | undefined }
  | {
      readonly kind: 'queue'
      readonly arn: string
      readonly region: string
      readonly account: string
      readonly name: string
    }
  | { readonly kind: 'topic'; readonly arn: string; readonly region: string }
  | { readonly kind: 'bus'; readonly arn: string; readonly region: string }
  | { readonly kind: 'bucket'; readonly arn: string; readonly name: string }

const ARN = /^arn:aws[a-zA-Z-]*:([a-z0-9]+):([a-z0-9-]*):(\d{12})?:(.+)$/

/** Reads an ARN; `undefined` if it names nothing that can be a destination. */
export function parseDestination(arn: string): Destination | undefined {
  const [, service, region = '', account = '', resource = ''] = ARN.exec(arn) ?? []
  switch (service ?? '') {
    case 'lambda': {
      const [type, name, qualifier] = resource.split(':')
      return type === 'function' && name !== undefined ? { kind: 'function', arn, name, qualifier } : undefined
    }
    case 'sqs':
      return { kind: 'queue', arn, region, account, name: resource }
    case 'sns':
      return { kind: 'topic', arn, region }
    case 'events':
      return resource.startsWith('event-bus/') ? { kind: 'bus', arn, region } : undefined
    case 's3':
      return { kind: 'bucket', arn, name: resource }
    default:
      return undefined
  }
}

/** What is wrong with an ARN as this setting; `undefined` if nothing is. */
export function destinationProblem(arn: string, setting: string): string | undefined {
  const destination = parseDestination(arn)
  if (destination === undefined) {
    return `"${arn}" is not the ARN of a function, an SQS queue, an SNS topic, an event bus or an S3 bucket`
  }
  const { kind } = destination
  if (arn.endsWith('.fifo')) return `"${arn}" is a FIFO ${kind}, which Lambda does not deliver to`
  if (setting === 'onSuccess' && kind === 'bucket') return 'an S3 bucket takes failures only'
  if (setting === 'deadLetterTarget' && kind !== 'queue' && kind !== 'topic')
    return 'must be an SQS queue or an SNS topic'
  return undefined
}
