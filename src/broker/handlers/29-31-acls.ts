/**
 * DescribeAcls, CreateAcls, DeleteAcls, versions 1 to 3. Without an authorizer
 * each answers SECURITY_DISABLED, as Kafka does; MirrorMaker relies on it.
 *
 * The number 0 ("unknown") anywhere in an ACL or filter is no valid request and
 * closes the connection; "any" in a new ACL is UNKNOWN_SERVER_ERROR; both as in
 * Kafka. ACLs of one request take effect together, those in error aside.
 */

import { PipelineError } from '../../core/index.ts'
import {
  type CreateAclsRequestAclCreation,
  type CreateAclsResponseAclCreationResultInput,
  createAclsApi,
  deleteAclsApi,
  type DeleteAclsResponseFilterResultInput,
  describeAclsApi,
  type DescribeAclsResponseResourceInput,
  type KafkaErrorName
} from '../../protocol/index.ts'
import {
  type AclBinding,
  type AclFilter,
  aclProblem,
  ANY,
  CLUSTER_NAME,
  filterProblem,
  isMeant,
  PATTERN_MATCH,
  RESOURCE_TYPES,
  UNKNOWN
} from '../security/acls/index.ts'
import { defineHandler, errorCode, type Refusal } from './handler.ts'
import { stored } from './stored.ts'

const disabled = (message: string): { errorCode: number; errorMessage: string } => ({
  errorCode: errorCode('SECURITY_DISABLED'),
  errorMessage: message
})

const TOO_MANY: Refusal = { error: 'POLICY_VIOLATION', message: 'Too many ACLs.' }
const NOT_STORED: Refusal = { error: 'KAFKA_STORAGE_ERROR', message: 'The ACLs could not be stored.' }

/** The handler of DescribeAcls. */
export const describeAclsHandler = defineHandler({
  api: describeAclsApi,
  clusterOperation: 'describe',
  handle: (broker, request) => {
    const filter: AclFilter = {
      resourceType: request.resourceTypeFilter,
      resourceName: request.resourceNameFilter,
      patternType: request.patternTypeFilter,
      principal: request.principalFilter,
      host: request.hostFilter,
      operation: request.operation,
      permission: request.permissionType
    }
    refuseUnknown(filter)
    const { acls } = broker.authorizer
    if (acls === undefined) return disabled('No Authorizer is configured on the broker')
    return { resources: byResource(acls.index.acls.filter(acl => isMeant(filter, acl))) }
  },
  fail: (_request, code) => ({ errorCode: code })
})

/** The handler of CreateAcls. */
export const createAclsHandler = defineHandler({
  api: createAclsApi,
  clusterOperation: 'alter',
  handle: async (broker, request) => {
    const wanted = request.creations.map(bindingOf)
    for (const acl of wanted) refuseUnknown(acl)
    const { acls } = broker.authorizer
    if (acls === undefined) return { results: wanted.map(() => disabled('No Authorizer is configured.')) }
    if (wanted.some(hasAny))
      return { results: wanted.map(() => result({ error: 'UNKNOWN_SERVER_ERROR', message: null })) }
    const refusals = wanted.map(problemOf)
    const valid = wanted.filter((_acl, index) => refusals[index] === undefined)
    const isAdded = await stored(broker, 'ACLs', () => acls.add(valid))
    const failure = isAdded === undefined ? NOT_STORED : isAdded ? undefined : TOO_MANY
    return { results: refusals.map(refusal => result(refusal ?? failure)) }
  },
  fail: (request, code) => ({ results: request.creations.map(() => ({ errorCode: code })) })
})

/** The handler of DeleteAcls. */
export const deleteAclsHandler = defineHandler({
  api: deleteAclsApi,
  clusterOperation: 'alter',
  handle: async (broker, request) => {
    const filters = request.filters.map((each): AclFilter => ({
      resourceType: each.resourceTypeFilter,
      resourceName: each.resourceNameFilter,
      patternType: each.patternTypeFilter,
      principal: each.principalFilter,
      host: each.hostFilter,
      operation: each.operation,
      permission: each.permissionType
    }))
    for (const filter of filters) refuseUnknown(filter)
    const { acls } = broker.authorizer
    if (acls === undefined) return { filterResults: filters.map(() => disabled('No Authorizer is configured.')) }
    const valid = filters.filter(filter => filterProblem(filter) === undefined)
    const removed = await stored(broker, 'ACLs', () => acls.remove(valid))
    const filterResults = filters.map((filter): DeleteAclsResponseFilterResultInput => {
      const problem = filterProblem(filter)
      if (problem !== undefined) return result({ error: 'INVALID_REQUEST', message: problem })
      if (removed === undefined) return result(NOT_STORED)
      return { matchingAcls: (removed.shift() ?? []).map(toMatching) }
    })
    return { filterResults }
  },
  fail: (request, code) => ({ filterResults: request.filters.map(() => ({ errorCode: code })) })
})

/** Kafka takes such a request for one that it cannot read. */
function refuseUnknown(of: Pick<AclBinding, 'resourceType' | 'patternType' | 'operation' | 'permission'>): void {
  const { resourceType, patternType, operation, permission } = of
  if ([resourceType, patternType, operation, permission].includes(UNKNOWN)) {
    throw new PipelineError('ERR_BROKER_REQUEST_REFUSED', 'an ACL request has elements of unknown kind')
  }
}

/** Kafka cannot even make the object of an ACL for "any" something. */
function hasAny({ resourceType, patternType, operation, permission }: AclBinding): boolean {
  return [resourceType, patternType, operation, permission].includes(ANY) || patternType === PATTERN_MATCH
}

function bindingOf(creation: CreateAclsRequestAclCreation): AclBinding {
  const { resourceType, resourceName, resourcePatternType, principal, host, operation, permissionType } = creation
  const patternType = resourcePatternType
  return { resourceType, resourceName, patternType, principal, host, operation, permission: permissionType }
}

function problemOf(acl: AclBinding): Refusal | undefined {
  const refuse = (message: string): Refusal => ({ error: 'INVALID_REQUEST', message })
  if (acl.resourceType === RESOURCE_TYPES.cluster && acl.resourceName !== CLUSTER_NAME)
    return refuse(`The only valid name for the CLUSTER resource is ${CLUSTER_NAME}`)
  if (acl.resourceName === '') return refuse('Invalid empty resource name')
  const problem = aclProblem(acl)
  return problem === undefined ? undefined : refuse(problem)
}

function result(
  refusal: { error: KafkaErrorName; message: string | null } | undefined
): CreateAclsResponseAclCreationResultInput {
  if (refusal === undefined) return {}
  return { errorCode: errorCode(refusal.error), errorMessage: refusal.message }
}

function byResource(acls: readonly AclBinding[]): DescribeAclsResponseResourceInput[] {
  const groups = Map.groupBy(acls, ({ resourceType, patternType, resourceName }) =>
    JSON.stringify([resourceType, patternType, resourceName])
  )
  return [...groups.values()].flatMap(same => {
    const [first] = same
    if (first === undefined) return []
    const { resourceType, resourceName, patternType } = first
    return {
      resourceType,
      resourceName,
      patternType,
      acls: same.map(({ principal, host, operation, permission }) => ({
        principal,
        host,
        operation,
        permissionType: permission
      }))
    }
  })
}

function toMatching(acl: AclBinding): {
  resourceType: number
  resourceName: string
  patternType: number
  principal: string
  host: string
  operation: number
  permissionType: number
} {
  const { permission, ...rest } = acl
  return { ...rest, permissionType: permission }
}
