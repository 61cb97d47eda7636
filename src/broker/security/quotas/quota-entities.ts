/**
 * Who quotas are for, and which quota holds for a client. Pure.
 *
 * An entity is a user, a client id, both, or an address; each by name or as the
 * default (`null`). The most specific entity that has the quota in question holds:
 *
 *   user + client id · user + default client id · user ·
 *   default user + client id · default user + default client id · default user ·
 *   client id · default client id
 *
 * What a user or client id uses is counted apart for each one, also under a
 * default; what an entity does not name is counted together.
 *
 * Source: KIP-13, KIP-55, KIP-546, KIP-612; Kafka `ClientQuotaManager`.
 */

import { isIP } from 'node:net'
import type { KafkaErrorName } from '../../../protocol/index.ts'
import { canonicalAddress } from '../canonical-address.ts'

/** An entity: names by type, `null` for the default. */
export interface QuotaEntity {
  readonly user?: string | null
  readonly clientId?: string | null
  readonly ip?: string | null
}

/** Quotas of clients by Kafka's name. */
export type ClientQuotaKey =
  'producer_byte_rate' | 'consumer_byte_rate' | 'request_percentage' | 'controller_mutation_rate'
/** All quotas by Kafka's name. */
export type QuotaKey = ClientQuotaKey | 'connection_creation_rate'

/** Entity types on the wire. */
const TYPES = { user: 'user', 'client-id': 'clientId', ip: 'ip' } as const satisfies Record<string, keyof QuotaEntity>

/** What an entity may have, and whether it is a whole number. */
const CLIENT_KEYS: ReadonlyMap<string, 'long' | 'double'> = new Map([
  ['producer_byte_rate', 'long'],
  ['consumer_byte_rate', 'long'],
  ['request_percentage', 'double'],
  ['controller_mutation_rate', 'double']
])
const IP_KEYS: ReadonlyMap<string, 'long' | 'double'> = new Map([['connection_creation_rate', 'long']])

/** Longest name of an entity, in characters: longer client ids are not counted by themselves either. */
const NAME_LENGTH_MAX = 256
/** What a long cannot hold any more. */
const LONG_LIMIT = 2 ** 63

/** Why a quota request cannot be done. */
export interface QuotaProblem {
  readonly error: KafkaErrorName
  readonly message: string
}

/** One part of an entity on the wire. */
export interface EntityPart {
  readonly entityType: string
  readonly entityName: string | null
}

/** The entity that a request names, or why there is none. */
export function entityOf(parts: readonly EntityPart[]): QuotaEntity | QuotaProblem {
  const entity: { user?: string | null; clientId?: string | null; ip?: string | null } = {}
  for (const { entityType, entityName } of parts) {
    if (!isEntityType(entityType)) return invalid(`Unhandled client quota entity type: ${entityType}`)
    if (entityName === '') return invalid(`Empty ${entityType} not supported`)
    if (entityName !== null && entityName.length > NAME_LENGTH_MAX) return invalid(`The ${entityType} is too long`)
    const type = TYPES[entityType]
    if (type in entity) return invalid(`Invalid client quota entity, duplicate entity entry ${entityType}`)
    entity[type] = entityName
  }
  const isOfClient = 'user' in entity || 'clientId' in entity
  if (isOfClient === 'ip' in entity) return invalid('Invalid empty client quota entity')
  if (typeof entity.ip === 'string' && isIP(entity.ip) === 0)
    return invalid(`${entity.ip} is not a valid IP or resolvable host.`)
  return entity
}

/** Whether a value is a problem rather than an entity. */
export function isProblem(value: QuotaEntity | QuotaProblem): value is QuotaProblem {
  return 'error' in value
}

/** Why an entity cannot have a quota; `undefined` if it can. */
export function quotaProblem(entity: QuotaEntity, key: string, value: number): QuotaProblem | undefined {
  const type = ('ip' in entity ? IP_KEYS : CLIENT_KEYS).get(key)
  if (type === undefined) return invalid(`Invalid configuration key ${key}`)
  if (!(value > 0)) return invalid(`Quota ${key} must be greater than 0`)
  if (!Number.isFinite(value)) return invalid(`Quota ${key} must be finite`)
  if (type === 'long' && (value >= LONG_LIMIT || Math.abs(Math.floor(value + 1e-6) - value) > 1e-6))
    return invalid(`Configuration ${key} must be a Long value`)
  return undefined
}

/** Parts of an entity as they go over the wire. */
export function partsOf(entity: QuotaEntity): EntityPart[] {
  return Object.entries(TYPES).flatMap(([entityType, type]) => {
    const entityName = entity[type]
    return entityName === undefined ? [] : [{ entityType, entityName }]
  })
}

/** The same text for the same entity. */
export function identityOf(entity: QuotaEntity): string {
  const { user, clientId, ip } = entity
  const address = typeof ip === 'string' ? canonicalAddress(ip) : ip
  return JSON.stringify([user, clientId, address].map(name => (name === undefined ? false : name)))
}

/** Which entities are meant: by name, the default, or any, for each type that is named. */
export interface EntityFilter {
  /** `string` for a name, `null` for the default, `undefined` for any that is there. */
  readonly wanted: ReadonlyMap<keyof QuotaEntity, string | null | undefined>
  /** Whether an entity must have no other types. */
  readonly isStrict: boolean
}

/** Kafka's numbers of how a filter matches. */
const MATCH_EXACT = 0
const MATCH_DEFAULT = 1
const MATCH_SPECIFIED = 2

/** The filter that a request describes, or why there is none. */
export function filterOf(
  components: readonly { readonly entityType: string; readonly matchType: number; readonly match: string | null }[],
  isStrict: boolean
): EntityFilter | QuotaProblem {
  const wanted = new Map<keyof QuotaEntity, string | null | undefined>()
  for (const { entityType, matchType, match } of components) {
    if (entityType === '') return invalid('Unexpected empty filter component entity type')
    if (!isEntityType(entityType))
      return { error: 'UNSUPPORTED_VERSION', message: `Custom entity type ${entityType} not supported` }
    const type = TYPES[entityType]
    if (wanted.has(type)) return invalid(`Duplicate ${entityType} filter component entity type`)
    if (matchType === MATCH_EXACT && match !== null) wanted.set(type, match)
    else if (matchType === MATCH_DEFAULT) wanted.set(type, null)
    else if (matchType === MATCH_SPECIFIED) wanted.set(type, undefined)
    else return invalid(`Unexpected match type: ${matchType}`)
  }
  if (wanted.has('ip') && wanted.size > 1) {
    return invalid(
      'Invalid entity filter component combination, IP filter component should ' +
        'not be used with User or ClientId filter component.'
    )
  }
  return { wanted, isStrict }
}

/** Whether a filter means an entity. */
export function isEntityMeant({ wanted, isStrict }: EntityFilter, entity: QuotaEntity): boolean {
  for (const [type, name] of wanted) {
    if (entity[type] === undefined) return false
    if (name !== undefined && entity[type] !== name) return false
  }
  return !isStrict || (wanted.size > 0 && Object.keys(entity).length === wanted.size)
}

/** A quota that holds for a client. */
export interface Limit {
  /** Per second, or percent of the time of one thread. */
  readonly value: number
  /** Whoever has the same name here shares the quota. */
  readonly sharedBy: string
}

/** Quotas by entity. */
export type QuotaTable = ReadonlyMap<string, ReadonlyMap<string, number>>

/** The quota that holds for a client; `undefined` if none does. */
export function limitFor(
  table: QuotaTable,
  key: ClientQuotaKey,
  { user, clientId }: { user: string; clientId: string }
): Limit | undefined {
  const candidates: readonly QuotaEntity[] = [
    { user, clientId },
    { user, clientId: null },
    { user },
    { user: null, clientId },
    { user: null, clientId: null },
    { user: null },
    { clientId },
    { clientId: null }
  ]
  for (const entity of candidates) {
    const value = table.get(identityOf(entity))?.get(key)
    if (value === undefined) continue
    const counted = {
      ...(entity.user === undefined ? {} : { user }),
      ...(entity.clientId === undefined ? {} : { clientId })
    }
    return { value, sharedBy: identityOf(counted) }
  }
  return undefined
}

/** The connection rate that holds for an address; `undefined` if none does. */
export function connectionLimitFor(table: QuotaTable, ip: string): number | undefined {
  const key = 'connection_creation_rate'
  return table.get(identityOf({ ip }))?.get(key) ?? table.get(identityOf({ ip: null }))?.get(key)
}

function isEntityType(text: string): text is keyof typeof TYPES {
  return Object.hasOwn(TYPES, text)
}

function invalid(message: string): QuotaProblem {
  return { error: 'INVALID_REQUEST', message }
}
