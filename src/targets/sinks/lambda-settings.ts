/** Settings of another Lambda function as a target, and what can be wrong with them. */

import { OptionCheck } from './option-check.ts'

/** Another Lambda function in the configuration. */
export interface LambdaSinkSettings {
  readonly type: 'lambda'
  /** Name or ARN of the function. */
  readonly functionName: string
  /** Version or alias. Default: none, which is `$LATEST`. */
  readonly qualifier?: string
  /**
   * `RequestResponse` waits for the function, whose answer tells of each record. `Event` hands the records over: Lambda
   * keeps them for up to six hours, runs the function in any order, maybe twice, and tries twice more when it fails.
   * Default `RequestResponse`.
   */
  readonly invocationType?: 'RequestResponse' | 'Event'
  /** AWS region. Default: the one in the ARN, else AWS's own chain. */
  readonly region?: string
  /** Address of the Invoke API: the embedded runtime, a VPC endpoint. Default: `AWS_ENDPOINT_URL_LAMBDA`, …, AWS's. */
  readonly endpoint?: string
  /** Most records in one invocation. Integer, 1 to 10_000. Default 500. */
  readonly recordsMax?: number
}

const NAME = /^(?:(?:arn:aws[\w-]*:lambda:[a-z\d-]+:)?\d{12}:function:)?[\w-]{1,64}(?::(?:\$LATEST|[\w-]{1,128}))?$/

/**
 * Every problem of a Lambda target's settings.
 *
 * @param environment - The function's own: one that calls itself with what it is called with never ends.
 */
export function lambdaSinkProblems(
  given: unknown,
  environment?: Readonly<Record<string, string | undefined>>
): string[] {
  const check = new OptionCheck(given)
  const name = check.text('functionName', { isRequired: true, pattern: NAME, hint: 'the name or ARN of a function' })
  const own = environment?.['AWS_LAMBDA_FUNCTION_NAME']
  if (name !== undefined && own !== undefined && own !== '' && nameOf(name) === own) {
    check.report('functionName', 'is this function itself, which would call itself without end')
  }
  check.text('qualifier', { pattern: /^(?:\$LATEST|[\w-]{1,128})$/, hint: 'a version or an alias' })
  check.oneOf('invocationType', ['RequestResponse', 'Event'])
  check.awsPlace()
  check.integer('recordsMax', 1, 10_000)
  return check.finish()
}

function nameOf(functionName: string): string {
  const parts = functionName.split(':')
  const at = parts.indexOf('function')
  return parts[at + 1] ?? ''
}
