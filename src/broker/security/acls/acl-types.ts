/**
 * The vocabulary of Kafka's ACLs: resources, patterns, operations, permissions,
 * with the numbers they have on the wire and the names Kafka prints.
 *
 * Source: Kafka `ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`.
 */

/** What an ACL may be about, by Kafka's `ResourceType` number. */
export const RESOURCE_TYPES = {
  topic: 2,
  group: 3,
  cluster: 4,
  transactionalId: 5,
  delegationToken: 6,
  user: 7
} as const

/** How the name in an ACL is meant, by Kafka's `PatternType` number. */
export const PATTERN_TYPES = { literal: 3, prefixed: 4 } as const

/** What somebody may do, by Kafka's `AclOperation` number. */
export const OPERATIONS = {
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
  createTokens: 13,
  describeTokens: 14,
  twoPhaseCommit: 15
} as const

/** What an ACL does, by Kafka's `AclPermissionType` number. */
export const PERMISSIONS = { deny: 2, allow: 3 } as const

/** The number that means "unknown" in each of Kafka's enumerations. */
export const UNKNOWN = 0
/** The number that means "any" in each of Kafka's enumerations. */
export const ANY = 1
/** `PatternType.MATCH`: a filter that finds every pattern which applies to a name. */
export const PATTERN_MATCH = 2

/** The name that stands for all resources, all hosts, and in `User:*` for everybody. */
export const WILDCARD = '*'
/** The principal that stands for everybody. */
export const WILDCARD_PRINCIPAL = 'User:*'
/** The only name of a cluster resource. */
export const CLUSTER_NAME = 'kafka-cluster'

/** A resource type by our name. */
export type ResourceTypeName = keyof typeof RESOURCE_TYPES
/** An operation by our name. */
export type OperationName = keyof typeof OPERATIONS

/** One access control entry and the resources it is about. Numbers as on the wire; see the tables above. */
export interface AclBinding {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  /** `User:alice`, or `User:*` for everybody. */
  readonly principal: string
  /** Address of the client, or `*`. */
  readonly host: string
  readonly operation: number
  readonly permission: number
}

/** Which ACLs are meant; `null` and `ANY` mean all. */
export interface AclFilter {
  readonly resourceType: number
  readonly resourceName: string | null
  /** `ANY`, `PATTERN_MATCH`, or a pattern type. */
  readonly patternType: number
  readonly principal: string | null
  readonly host: string | null
  readonly operation: number
  readonly permission: number
}

const names = (table: Readonly<Record<string, number>>, more: readonly string[]): ReadonlyMap<number, string> => {
  const upper = Object.entries(table).map(([name, code]): [number, string] => [code, upperSnake(name)])
  return new Map([...more.map((name, code): [number, string] => [code, name]), ...upper])
}

const RESOURCE_TYPE_NAMES = names(RESOURCE_TYPES, ['UNKNOWN', 'ANY'])
const PATTERN_TYPE_NAMES = names(PATTERN_TYPES, ['UNKNOWN', 'ANY', 'MATCH'])
const OPERATION_NAMES = names(OPERATIONS, ['UNKNOWN', 'ANY'])
const PERMISSION_NAMES = names(PERMISSIONS, ['UNKNOWN', 'ANY'])

/** Kafka's name of a resource type; `UNKNOWN` for numbers without one. */
export function resourceTypeName(code: number): string {
  return RESOURCE_TYPE_NAMES.get(code) ?? 'UNKNOWN'
}

/** Kafka's name of a pattern type; `UNKNOWN` for numbers without one. */
export function patternTypeName(code: number): string {
  return PATTERN_TYPE_NAMES.get(code) ?? 'UNKNOWN'
}

/** Kafka's name of an operation; `UNKNOWN` for numbers without one. */
export function operationName(code: number): string {
  return OPERATION_NAMES.get(code) ?? 'UNKNOWN'
}

/** Kafka's name of a permission; `UNKNOWN` for numbers without one. */
export function permissionName(code: number): string {
  return PERMISSION_NAMES.get(code) ?? 'UNKNOWN'
}

function upperSnake(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter}`).toUpperCase()
}
