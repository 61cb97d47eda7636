/** What the distributor needs of Lambda's context. */

/** The part of Lambda's context object that the distributor needs. */
export interface DistributorContext {
  getRemainingTimeInMillis(): number
  readonly awsRequestId?: string
  readonly functionName?: string
  /** What the caller has put there; a dispatcher puts the trace into `custom`. */
  readonly clientContext?: unknown
}
