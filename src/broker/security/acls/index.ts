/** ACLs: who may do what in the embedded broker. */

export { aclProblem, filterProblem, isMeant } from './acl-index.ts'
export type { AclStore } from './acl-store.ts'
export {
  type AclBinding,
  type AclFilter,
  ANY,
  CLUSTER_NAME,
  type OperationName,
  operationName,
  PATTERN_MATCH,
  patternTypeName,
  permissionName,
  RESOURCE_TYPES,
  type ResourceTypeName,
  resourceTypeName,
  UNKNOWN
} from './acl-types.ts'
export {
  AclAuthorizer,
  ALLOW_ALL,
  authorizedOperations,
  type Authorizer,
  CLUSTER,
  type Resource,
  STANDARD_AUTHORIZER,
  type Subject,
  superUsersOf
} from './authorizer.ts'
export { type AuthorizerOptions, authorizerSettings, openAuthorizer } from './open-authorizer.ts'
