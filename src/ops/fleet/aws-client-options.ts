/** Settings that the clients of AWS share: where, and how often a request is repeated. */

/** Throttles of a moment are waited out; whoever asks looks again anyway. */
const ATTEMPTS_MAX = 3

/** What a fleet in AWS says of its place. */
export interface AwsPlace {
  readonly region?: string | undefined
  readonly endpoint?: string | undefined
}

/** Settings of a client. */
export interface AwsClientOptions {
  readonly maxAttempts: number
  readonly region?: string
  readonly endpoint?: string
}

/** What is not said is left to AWS's own chain. */
export function awsClientOptions({ region, endpoint }: AwsPlace): AwsClientOptions {
  return {
    maxAttempts: ATTEMPTS_MAX,
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint })
  }
}
