/**
 * DescribeAcls, CreateAcls, DeleteAcls, versions 1 to 3: there is no authorizer,
 * so each answers SECURITY_DISABLED, as Kafka does. MirrorMaker relies on it.
 */

import { createAclsApi, deleteAclsApi, describeAclsApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

const NO_AUTHORIZER = 'No Authorizer is configured on the broker'
const disabled = { errorCode: errorCode('SECURITY_DISABLED'), errorMessage: NO_AUTHORIZER }

/** The handler of DescribeAcls. */
export const describeAclsHandler = defineHandler({
  api: describeAclsApi,
  handle: () => disabled,
  fail: (_request, code) => ({ errorCode: code })
})

/** The handler of CreateAcls. */
export const createAclsHandler = defineHandler({
  api: createAclsApi,
  handle: (_broker, request) => ({ results: request.creations.map(() => disabled) }),
  fail: (request, code) => ({ results: request.creations.map(() => ({ errorCode: code })) })
})

/** The handler of DeleteAcls. */
export const deleteAclsHandler = defineHandler({
  api: deleteAclsApi,
  handle: (_broker, request) => ({ filterResults: request.filters.map(() => disabled) }),
  fail: (request, code) => ({ filterResults: request.filters.map(() => ({ errorCode: code })) })
})
