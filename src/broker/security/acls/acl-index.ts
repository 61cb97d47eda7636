/**
 * Which ACLs decide about one resource, and what they decide. Pure.
 *
 * ACLs are kept by resource type and pattern, so a decision looks at those of
 * the name itself, of `*`, and of each prefix of the name that has any: the
 * lengths of the prefixes in use are known, so a name is not cut at every letter.
 *
 * The rule is that of Kafka's StandardAuthorizer: one DENY that applies decides,
 * else one ALLOW; an ALLOW implies Describe for Read, Write, Delete and Alter, and
 * DescribeConfigs for AlterConfigs; a DENY implies nothing. "No ACL" means that no
 * pattern fits the name, whoever it is for.
 */

import { canonicalAddress } from '../canonical-address.ts'
import {
  type AclBinding,
  type AclFilter,
  ANY,
  operationName,
  OPERATIONS,
  PATTERN_MATCH,
  PATTERN_TYPES,
  patternTypeName,
  PERMISSIONS,
  permissionName,
  RESOURCE_TYPES,
  resourceTypeName,
  WILDCARD,
  WILDCARD_PRINCIPAL
} from './acl-types.ts'

/** What the ACLs say. */
export type Decision = 'allowed' | 'denied' | 'noAclForOperation' | 'noAclForResource'

/** Who wants to do what. */
export interface Action {
  readonly principal: string
  /** Address of the client. */
  readonly host: string
  /** One of `OPERATIONS`, not `all`. */
  readonly operation: number
  readonly resourceType: number
  readonly resourceName: string
}

/** Operations that an ALLOW of the key lets as well. */
const IMPLIED: ReadonlyMap<number, ReadonlySet<number>> = new Map<number, ReadonlySet<number>>([
  [OPERATIONS.describe, new Set([OPERATIONS.read, OPERATIONS.write, OPERATIONS.delete, OPERATIONS.alter])],
  [OPERATIONS.describeConfigs, new Set([OPERATIONS.alterConfigs])]
])

/** Patterns of one resource type. */
class Patterns {
  readonly literal = new Map<string, AclBinding[]>()
  readonly prefixed = new Map<string, AclBinding[]>()
  /** Lengths of the prefixes, ascending. */
  prefixLengths: readonly number[] = []

  add(acl: AclBinding): void {
    const byName = acl.patternType === PATTERN_TYPES.prefixed ? this.prefixed : this.literal
    const same = byName.get(acl.resourceName)
    if (same === undefined) byName.set(acl.resourceName, [acl])
    else same.push(acl)
  }

  /** Calls for every ACL whose pattern fits the name; ends when `visit` answers true. */
  visit(name: string, visit: (acls: readonly AclBinding[]) => boolean): void {
    const own = this.literal.get(name)
    if (own !== undefined && visit(own)) return
    for (const length of this.prefixLengths) {
      if (length > name.length) break
      const prefixed = this.prefixed.get(name.slice(0, length))
      if (prefixed !== undefined && visit(prefixed)) return
    }
    const everywhere = name === WILDCARD ? undefined : this.literal.get(WILDCARD)
    if (everywhere !== undefined) visit(everywhere)
  }
}

/** An unchanging set of ACLs. */
export class AclIndex {
  /** All ACLs, in the order they were given. */
  readonly acls: readonly AclBinding[]
  readonly #byType = new Map<number, Patterns>()

  constructor(acls: readonly AclBinding[]) {
    this.acls = acls
    for (const acl of acls) {
      const patterns = this.#byType.get(acl.resourceType) ?? new Patterns()
      this.#byType.set(acl.resourceType, patterns)
      patterns.add({ ...acl, host: canonicalAddress(acl.host) })
    }
    for (const patterns of this.#byType.values()) {
      const lengths = new Set([...patterns.prefixed.keys()].map(prefix => prefix.length))
      patterns.prefixLengths = [...lengths].toSorted((left, right) => left - right)
    }
  }

  /** What the ACLs say about an action. */
  decide(action: Action): Decision {
    let decision: Decision = 'noAclForResource'
    this.#byType.get(action.resourceType)?.visit(action.resourceName, acls => {
      if (decision === 'noAclForResource') decision = 'noAclForOperation'
      for (const acl of acls) {
        if (!applies(acl, action)) continue
        if (acl.permission === PERMISSIONS.deny) {
          decision = 'denied'
          return true
        }
        decision = 'allowed'
      }
      return false
    })
    return decision
  }

  /**
   * Whether there is any resource of a type on which the operation may be
   * allowed: an ALLOW that no DENY covers entirely. Source: KIP-679, Kafka
   * `Authorizer.authorizeByResourceType`. Implied operations do not count.
   */
  mayOnAny({ principal, host, operation, resourceType }: Omit<Action, 'resourceName'>): boolean {
    const patterns = this.#byType.get(resourceType)
    if (patterns === undefined) return false
    const has = (acls: readonly AclBinding[] | undefined, permission: number): boolean =>
      acls?.some(acl => isFor(acl, { principal, host, operation }) && acl.permission === permission) ?? false
    const { literal, prefixed } = patterns
    if (has(literal.get(WILDCARD), PERMISSIONS.deny)) return false
    if (has(literal.get(WILDCARD), PERMISSIONS.allow)) return true
    const isCovered = (name: string): boolean =>
      patterns.prefixLengths.some(
        length => length <= name.length && has(prefixed.get(name.slice(0, length)), PERMISSIONS.deny)
      )
    for (const [name, acls] of literal) {
      if (has(acls, PERMISSIONS.allow) && !has(acls, PERMISSIONS.deny) && !isCovered(name)) return true
    }
    for (const [name, acls] of prefixed) {
      if (has(acls, PERMISSIONS.allow) && !isCovered(name)) return true
    }
    return false
  }
}

function isFor(acl: AclBinding, who: { principal: string; host: string; operation: number }): boolean {
  if (acl.principal !== who.principal && acl.principal !== WILDCARD_PRINCIPAL) return false
  if (acl.host !== WILDCARD && acl.host !== who.host) return false
  return acl.operation === who.operation || acl.operation === OPERATIONS.all
}

/** Whether an ACL whose pattern fits is about this caller and this operation. */
function applies(acl: AclBinding, action: Action): boolean {
  if (acl.principal !== action.principal && acl.principal !== WILDCARD_PRINCIPAL) return false
  if (acl.host !== WILDCARD && acl.host !== action.host) return false
  if (acl.operation === action.operation || acl.operation === OPERATIONS.all) return true
  return acl.permission === PERMISSIONS.allow && IMPLIED.get(action.operation)?.has(acl.operation) === true
}

/** Whether a filter means an ACL. Source: Kafka `AclBindingFilter`, KIP-290 for `MATCH`. */
export function isMeant(filter: AclFilter, acl: AclBinding): boolean {
  return isResourceMeant(filter, acl) && isEntryMeant(filter, acl)
}

function isEntryMeant(filter: AclFilter, acl: AclBinding): boolean {
  if (filter.principal !== null && filter.principal !== acl.principal) return false
  if (filter.host !== null && filter.host !== acl.host) return false
  if (filter.operation !== ANY && filter.operation !== acl.operation) return false
  return filter.permission === ANY || filter.permission === acl.permission
}

function isResourceMeant(filter: AclFilter, acl: AclBinding): boolean {
  const { resourceName: name, patternType } = filter
  if (filter.resourceType !== ANY && filter.resourceType !== acl.resourceType) return false
  if (patternType !== ANY && patternType !== PATTERN_MATCH && patternType !== acl.patternType) return false
  if (name === null) return true
  if (patternType !== PATTERN_MATCH) return name === acl.resourceName
  if (acl.patternType === PATTERN_TYPES.prefixed) return name.startsWith(acl.resourceName)
  return name === acl.resourceName || acl.resourceName === WILDCARD
}

/** Why an ACL cannot be added, in Kafka's words; `undefined` if it can. Source: Kafka `AclControlManager`. */
export function aclProblem(acl: AclBinding): string | undefined {
  if (!has(RESOURCE_TYPES, acl.resourceType)) return `Invalid resourceType ${resourceTypeName(acl.resourceType)}`
  if (!has(PATTERN_TYPES, acl.patternType)) return `Invalid patternType ${patternTypeName(acl.patternType)}`
  if (!has(OPERATIONS, acl.operation)) return `Invalid operation ${operationName(acl.operation)}`
  if (!has(PERMISSIONS, acl.permission)) return `Invalid permissionType ${permissionName(acl.permission)}`
  if (acl.resourceName === '') return 'Resource name should not be empty'
  if (!acl.principal.includes(':')) {
    return (
      `Could not parse principal from \`${acl.principal}\` ` +
      '(no colon is present separating the principal type from the principal name)'
    )
  }
  return undefined
}

/** Why a filter cannot be used to delete, in Kafka's words; `undefined` if it can. */
export function filterProblem(filter: AclFilter): string | undefined {
  const isPatternKnown =
    (filter.resourceType === ANY || has(RESOURCE_TYPES, filter.resourceType)) &&
    (filter.patternType === ANY || filter.patternType === PATTERN_MATCH || has(PATTERN_TYPES, filter.patternType))
  if (!isPatternKnown) return 'Unknown patternFilter.'
  const isEntryKnown =
    (filter.operation === ANY || has(OPERATIONS, filter.operation)) &&
    (filter.permission === ANY || has(PERMISSIONS, filter.permission))
  return isEntryKnown ? undefined : 'Unknown entryFilter.'
}

function has(table: Readonly<Record<string, number>>, code: number): boolean {
  return Object.values(table).includes(code)
}
