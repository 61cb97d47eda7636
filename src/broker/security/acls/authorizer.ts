/**
 * Who may do what: asked by every handler before it looks at what a request
 * names, so that nobody learns whether something exists that is not theirs.
 *
 * Without an authorizer everything is allowed at the cost of one call. With
 * one, decisions are kept by caller, operation and resource until an ACL changes,
 * so the hot path is a few look-ups by strings that are there already: making a
 * key of them costs more than deciding anew. The first refusal of each kind is logged,
 * as far as a bounded log allows: clients make names up.
 *
 * Limits: `CALLERS_MAX` callers and `DECISIONS_MAX` decisions are remembered;
 * beyond that all is forgotten and decided anew.
 *
 * Source: Kafka `StandardAuthorizer`, `super.users`, `allow.everyone.if.no.acl.found`.
 */

import type { Clock } from '../../../core/index.ts'
import type { Logger } from '../../../telemetry/index.ts'
import { LimitedLogger } from '../../server/limited-logger.ts'
import type { AclIndex } from './acl-index.ts'
import { AclStore } from './acl-store.ts'
import {
  CLUSTER_NAME,
  type OperationName,
  OPERATIONS,
  operationName,
  RESOURCE_TYPES,
  type ResourceTypeName,
  resourceTypeName
} from './acl-types.ts'

/** The only authorizer there is, by Kafka's name for it: the value of `authorizer.class.name`. */
export const STANDARD_AUTHORIZER = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'

/** Most callers whose decisions are remembered. */
export const CALLERS_MAX = 10_000
/** Most decisions that are remembered. */
export const DECISIONS_MAX = 100_000
/** Longest name of a resource that is remembered and logged: those of topics are shorter. */
const NAME_LENGTH_MAX = 255

/** Who asks. */
export interface Subject {
  /** `User:alice`. */
  readonly principal: string
  /** Address of the client. */
  readonly host: string
}

/** What it is about. */
export interface Resource {
  readonly type: ResourceTypeName
  readonly name: string
}

/** The cluster as a resource. */
export const CLUSTER: Resource = { type: 'cluster', name: CLUSTER_NAME }

/** Operations that make sense on a resource, as Kafka answers them (KIP-430). */
const OPERATIONS_ON: Readonly<Record<'topic' | 'group' | 'cluster' | 'transactionalId', readonly OperationName[]>> = {
  topic: ['read', 'write', 'create', 'delete', 'alter', 'describe', 'describeConfigs', 'alterConfigs'],
  group: ['read', 'delete', 'describe', 'describeConfigs', 'alterConfigs'],
  cluster: ['create', 'alter', 'describe', 'clusterAction', 'describeConfigs', 'alterConfigs', 'idempotentWrite'],
  transactionalId: ['describe', 'write', 'twoPhaseCommit']
}

/** Answers what a caller may do. */
export interface Authorizer {
  /** The ACLs; `undefined` if there is no authorizer. */
  readonly acls: AclStore | undefined
  /** Whether a caller may do something to a resource. */
  isAllowed(subject: Subject, operation: OperationName, resource: Resource): boolean
  /** The same where nobody asked for it: what is shown, counted or filtered. A refusal is not logged. */
  wouldAllow(subject: Subject, operation: OperationName, resource: Resource): boolean
  /** Whether there may be a resource of the type on which the caller may do it (KIP-679). */
  isAllowedOnAny(subject: Subject, operation: OperationName, type: ResourceTypeName): boolean
}

/** Everybody may do everything. */
export const ALLOW_ALL: Authorizer = {
  acls: undefined,
  isAllowed: () => true,
  wouldAllow: () => true,
  isAllowedOnAny: () => true
}

/** What is remembered: the decision, and of a refusal whether it was logged. */
type Known = 'allowed' | 'denied' | 'deniedAndLogged'

/** Decisions about one caller, by operation and kind of resource, then by name. */
class Decisions {
  readonly #byAction: (Map<string, Known> | undefined)[] = []

  get(operation: OperationName, { type, name }: Resource): Known | undefined {
    return this.#byAction[actionIndex(operation, type)]?.get(name)
  }

  set(operation: OperationName, { type, name }: Resource, decision: Known): void {
    const byName = (this.#byAction[actionIndex(operation, type)] ??= new Map<string, Known>())
    byName.set(name, decision)
  }
}

function actionIndex(operation: OperationName, type: ResourceTypeName): number {
  return RESOURCE_TYPES[type] * 16 + OPERATIONS[operation]
}

/** How the authorizer decides. */
export interface AclAuthorizerOptions {
  readonly dataDir: string
  /** Kafka `super.users`: `User:alice;User:bob`. They may do everything, whatever an ACL says. */
  readonly superUsers: string
  /** Kafka `allow.everyone.if.no.acl.found`. */
  readonly isAllowedWithoutAcl: boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** Decides by ACLs. */
export class AclAuthorizer implements Authorizer {
  readonly acls: AclStore
  readonly #options: AclAuthorizerOptions
  readonly #logger: Logger
  readonly #superUsers: ReadonlySet<string>
  /** By principal, then by address. */
  readonly #known: Map<string, Map<string, Decisions>>
  #callerCount = 0
  #decisionCount = 0

  private constructor(acls: AclStore, options: AclAuthorizerOptions, known: Map<string, Map<string, Decisions>>) {
    this.acls = acls
    this.#options = options
    this.#logger = new LimitedLogger(options.logger, options.clock)
    this.#superUsers = new Set(superUsersOf(options.superUsers))
    this.#known = known
  }

  /**
   * Opens the ACLs in the data folder.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED`, see `AclStore.open`.
   */
  static async open(options: AclAuthorizerOptions): Promise<AclAuthorizer> {
    const known = new Map<string, Map<string, Decisions>>()
    const acls = await AclStore.open(options.dataDir, () => known.clear())
    return new AclAuthorizer(acls, options, known)
  }

  isAllowed(subject: Subject, operation: OperationName, resource: Resource): boolean {
    const known = this.#knownOf(subject)
    const before = known.get(operation, resource)
    const decision = before ?? this.#decide(subject, operation, resource)
    if (decision === 'denied') this.#logRefusal(subject, operation, resource)
    const after = decision === 'denied' ? 'deniedAndLogged' : decision
    if (after !== before) this.#remember(known, [operation, resource, after])
    return decision === 'allowed'
  }

  wouldAllow(subject: Subject, operation: OperationName, resource: Resource): boolean {
    const known = this.#knownOf(subject)
    const before = known.get(operation, resource)
    const decision = before ?? this.#decide(subject, operation, resource)
    if (before === undefined) this.#remember(known, [operation, resource, decision])
    return decision === 'allowed'
  }

  isAllowedOnAny({ principal, host }: Subject, operation: OperationName, type: ResourceTypeName): boolean {
    if (this.#superUsers.has(principal)) return true
    const action = { principal, host, operation: OPERATIONS[operation], resourceType: RESOURCE_TYPES[type] }
    // As Kafka does it: one fixed name stands for the names that no ACL is about.
    return (
      this.#isAllowedBy(this.acls.index, { ...action, resourceName: 'hardcode' }) || this.acls.index.mayOnAny(action)
    )
  }

  #knownOf({ principal, host }: Subject): Decisions {
    const known = this.#known.get(principal)?.get(host)
    if (known !== undefined) return known
    // An ACL has changed, or there are too many.
    if (this.#known.size === 0 || this.#callerCount >= CALLERS_MAX) this.#forgetAll()
    const byHost = this.#known.get(principal) ?? new Map<string, Decisions>()
    this.#known.set(principal, byHost)
    const fresh = new Decisions()
    byHost.set(host, fresh)
    this.#callerCount += 1
    return fresh
  }

  #remember(known: Decisions, [operation, resource, decision]: [OperationName, Resource, Known]): void {
    if (resource.name.length > NAME_LENGTH_MAX) return
    if (this.#decisionCount >= DECISIONS_MAX) this.#forgetAll()
    known.set(operation, resource, decision)
    this.#decisionCount += 1
  }

  #forgetAll(): void {
    this.#known.clear()
    this.#callerCount = 0
    this.#decisionCount = 0
  }

  #decide({ principal, host }: Subject, operation: OperationName, { type, name }: Resource): Known {
    if (this.#superUsers.has(principal)) return 'allowed'
    const action = { principal, host, operation: OPERATIONS[operation], resourceType: RESOURCE_TYPES[type] }
    return this.#isAllowedBy(this.acls.index, { ...action, resourceName: name }) ? 'allowed' : 'denied'
  }

  #isAllowedBy(index: AclIndex, action: Parameters<AclIndex['decide']>[0]): boolean {
    const decision = index.decide(action)
    return decision === 'allowed' || (decision === 'noAclForResource' && this.#options.isAllowedWithoutAcl)
  }

  #logRefusal({ principal, host }: Subject, operation: OperationName, { type, name }: Resource): void {
    const what = { operation: operationName(OPERATIONS[operation]), resource: name.slice(0, NAME_LENGTH_MAX) }
    const resourceType = resourceTypeName(RESOURCE_TYPES[type])
    this.#logger.info({ principal, host, ...what, resourceType }, 'access denied')
  }
}

/** Principals in a `super.users` text. */
export function superUsersOf(text: string): string[] {
  return text
    .split(';')
    .map(each => each.trim())
    .filter(each => each !== '')
}

/** What a caller may do to a resource, one bit per operation number (KIP-430). */
export function authorizedOperations(
  authorizer: Authorizer,
  subject: Subject,
  resource: Resource & { readonly type: keyof typeof OPERATIONS_ON }
): number {
  return OPERATIONS_ON[resource.type]
    .filter(operation => authorizer.wouldAllow(subject, operation, resource))
    .reduce((mask, operation) => mask | (1 << OPERATIONS[operation]), 0)
}
