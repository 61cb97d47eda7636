/** Quotas: what clients of the embedded broker may use. */

export {
  type EntityPart,
  entityOf,
  filterOf,
  identityOf,
  isEntityMeant,
  isProblem,
  partsOf,
  type QuotaEntity,
  type QuotaProblem,
  quotaProblem
} from './quota-entities.ts'
export type { QuotaChange } from './quota-store.ts'
export { type Mutations, Quotas } from './quotas.ts'
export { openQuotas } from './open-quotas.ts'
