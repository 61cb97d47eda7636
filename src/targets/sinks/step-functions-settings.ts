/** Settings of a Step Functions target, and what can be wrong with them. Apart from the sink, which needs AWS's SDK. */

import { OptionCheck } from './option-check.ts'

/** A state machine in the configuration. */
export interface StepFunctionsSinkSettings {
  readonly type: 'stepFunctions'
  /** ARN of the state machine, of a version or of an alias. */
  readonly stateMachineArn: string
  /** One execution for each record, or one for all records of a request. Default `record`. */
  readonly start?: 'record' | 'batch'
  /**
   * Put before the names of executions, which are the ids of records. Records that are replayed with another prefix are
   * executed again; with the same one AWS refuses them for 90 days as done. 1 to 30 letters, digits, `-` or `_`.
   */
  readonly namePrefix?: string
  /**
   * Whether the executions of one key are started in order, one after the other (`key`), or at any time (`loose`).
   * Default `key`.
   */
  readonly order?: 'key' | 'loose'
  /** AWS region. Default: the one in the ARN. */
  readonly region?: string
  /** Address of Step Functions. Default: `AWS_ENDPOINT_URL_SFN`, `AWS_ENDPOINT_URL`, AWS's. */
  readonly endpoint?: string
  /** Most requests at once. Integer, 1 to 50. Default 8. */
  readonly concurrency?: number
}

/** Every problem of a Step Functions target's settings. */
export function stepFunctionsSinkProblems(given: unknown): string[] {
  const check = new OptionCheck(given)
  check.text('stateMachineArn', {
    isRequired: true,
    pattern: /^arn:aws[\w-]*:states:[a-z\d-]+:\d{12}:stateMachine:[^\s:]{1,80}(?::[^\s:]{1,80})?$/,
    hint: 'the ARN of a state machine'
  })
  check.oneOf('start', ['record', 'batch'])
  check.text('namePrefix', { pattern: /^[\w-]{1,30}$/, hint: '1 to 30 letters, digits, "-" or "_"' })
  check.oneOf('order', ['key', 'loose'])
  check.awsPlace()
  check.integer('concurrency', 1, 50)
  return check.finish()
}
