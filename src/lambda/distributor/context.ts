/** What the distributor needs of Lambda's context. */

/** The part of Lambda's context object that the distributor needs. */
export interface DistributorContext {
  getRemainingTimeInMillis(): number
  readonly awsRequestId?: string
  readonly functionName?: string
}
