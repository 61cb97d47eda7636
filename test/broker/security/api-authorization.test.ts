/** No API without a decision on who may use it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALL_APIS, apiVersionsApi, ZERO_UUID } from '../../../src/protocol/index.ts'
import { authorizationCases } from '../../conformance/authorization-cases.ts'
import { brokerFor, connectTo } from '../support.ts'

/** APIs that need no right, with the reason. */
const OPEN = new Map([
  [16, 'ListGroups hides what the caller may not describe: conformance/acls.test.ts'],
  [17, 'SaslHandshake comes before the caller is known'],
  [18, 'ApiVersions is for everybody'],
  [36, 'SaslAuthenticate comes before the caller is known'],
  [60, 'DescribeCluster tells everybody where the broker is, and each what it may do: conformance/acls.test.ts'],
  [66, 'ListTransactions hides what the caller may not describe: conformance/acls.test.ts']
])

test('every API that the broker advertises has a case of what it needs, or is open for a reason', async t => {
  const connection = await connectTo(t, await brokerFor(t))
  const { apiKeys } = await connection.request(apiVersionsApi, { version: 2, message: {} })
  const names = { topic: '', newTopic: '', doomedTopic: '', group: '', transactionalId: '' }
  const guarded = new Set(authorizationCases({ ...names, topicId: ZERO_UUID }).map(({ apiKey }) => apiKey))

  const undecided = apiKeys.map(({ apiKey }) => apiKey).filter(key => !guarded.has(key) && !OPEN.has(key))

  const namesOf = undecided.map(key => ALL_APIS.find(api => api.key === key)?.name ?? key)
  assert.deepEqual(namesOf, [], 'add them to conformance/authorization-cases.ts')
})
