/**
 * The record of an asynchronous invocation that its destination gets, in AWS's
 * members and their order. The event and the answer are spliced in as they
 * were, so that no number is rounded.
 *
 * Source: Lambda developer guide, "Capturing records of Lambda asynchronous
 * invocations", "Example invocation record".
 */

import type { EventCondition } from './event-policy.ts'

/** What happened to an event. */
export interface InvocationRecord {
  readonly timestampMs: number
  readonly requestId: string
  /** With its qualifier. */
  readonly functionArn: string
  readonly condition: EventCondition
  readonly invokeCount: number
  /** The event as JSON text. */
  readonly requestPayload: string
  /** The last answer; `undefined` if the function never ran. */
  readonly response: InvocationResponse | undefined
}

/** The last answer of the function. */
export interface InvocationResponse {
  readonly executedVersion: string
  readonly isFailed: boolean
  /** JSON text; a streamed answer may be any text. */
  readonly payload: string
}

/** The record as JSON text. */
export function destinationRecord(record: InvocationRecord): string {
  const { response } = record
  const head = {
    version: '1.0',
    timestamp: new Date(record.timestampMs).toISOString(),
    requestContext: {
      requestId: record.requestId,
      functionArn: record.functionArn,
      condition: record.condition,
      approximateInvokeCount: record.invokeCount
    }
  }
  const request = `${JSON.stringify(head).slice(0, -1)},"requestPayload":${record.requestPayload}`
  if (response === undefined) return `${request}}`
  const context = {
    statusCode: 200,
    executedVersion: response.executedVersion,
    ...(response.isFailed ? { functionError: 'Unhandled' } : {})
  }
  return `${request},"responseContext":${JSON.stringify(context)},"responsePayload":${jsonOf(response.payload)}}`
}

/** The text if it is JSON, so that no digit is lost, else a JSON string of it. */
function jsonOf(text: string): string {
  try {
    JSON.parse(text)
    return text
  } catch {
    return JSON.stringify(text)
  }
}

/** Key of a record in an S3 bucket: `aws/lambda/async/<name>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>`. */
export function recordKey(functionName: string, nowMs: number, uuid: string): string {
  const time = new Date(nowMs).toISOString()
  const day = time.slice(0, 10).replaceAll('-', '/')
  return `aws/lambda/async/${functionName}/${day}/${time.slice(0, 19).replaceAll(':', '.')}-${uuid}`
}
