/** A statement of an IAM policy, and how ARNs for it are made. */

/** One statement; its effect is `Allow`. */
export interface IamStatement {
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
}

/** Where the function runs. */
export interface PolicyPlace {
  readonly region?: string
  readonly accountId?: string
}

/** Parts of an ARN; what is not known is `*`. */
export interface ArnParts {
  readonly service: string
  readonly region?: string | undefined
  readonly accountId?: string | undefined
  readonly resource: string
}

/** An ARN, in the partition of its region. Source: AWS general reference, "Amazon Resource Names". */
export function arnOf({ service, region = '*', accountId = '*', resource }: ArnParts): string {
  return `arn:${partitionOf(region)}:${service}:${region}:${accountId}:${resource}`
}

/** The partition that a region is in. */
export function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}

/** A text among settings of any type. */
export function textOf(settings: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = settings[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
