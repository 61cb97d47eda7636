/** A statement of an IAM policy, and how ARNs for it are made. */

/** One statement; its effect is `Allow`. */
export interface IamStatement {
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

/** Where the function runs, for settings that do not say it. */
export interface PolicyPlace {
  readonly region?: string | undefined
  readonly accountId?: string | undefined
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

/** A table, bus or stream: settings give its ARN or its name. */
export interface NamedResource {
  readonly service: string
  /** What stands before the name in the ARN, for example `table/`. */
  readonly prefix: string
  readonly region: string | undefined
  readonly accountId: string | undefined
}

/** The ARN of what is named; an ARN stays as it is. */
export function arnOfNamed(name: string, { prefix, ...parts }: NamedResource): string {
  return name.startsWith('arn:') ? name : arnOf({ ...parts, resource: `${prefix}${name}` })
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

/** Region and account of a target: its own region wins. */
export function placeOf(
  settings: Readonly<Record<string, unknown>>,
  { region, accountId }: PolicyPlace
): { readonly region: string | undefined; readonly accountId: string | undefined } {
  return { region: textOf(settings, 'region') ?? region, accountId }
}
