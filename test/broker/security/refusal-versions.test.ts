/** A refusal can be said in every version of every API: one that cannot be encoded would close the connection. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PipelineError } from '../../../src/core/index.ts'
import { apiVersionsApi, encodeRequest } from '../../../src/protocol/index.ts'
import { authorizationCases, type Send } from '../../conformance/authorization-cases.ts'
import { errorsIn } from '../../conformance/secured-cluster.ts'
import { brokerFor, connectTo } from '../support.ts'

const REFUSED = /_AUTHORIZATION_FAILED$/

test('every request that can be made is answered to whoever may do nothing', async t => {
  const broker = await brokerFor(t, { authorizer: {} })
  const connection = await connectTo(t, broker)
  const { apiKeys } = await connection.request(apiVersionsApi, { version: 2, message: {} })
  const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
  const names = { topic: 't', topicId, newTopic: 'n', doomedTopic: 'd', group: 'g', transactionalId: 'x' }
  let sentCount = 0
  const silent: string[] = []
  for (const each of authorizationCases(names)) {
    const range = apiKeys.find(({ apiKey }) => apiKey === each.apiKey)
    assert.ok(range !== undefined, each.title)
    const sendAll: Send = async (api, version, message) => {
      const answers = []
      for (let other = Math.max(range.minVersion, api.minVersion); other <= range.maxVersion; other++) {
        try {
          encodeRequest(api, other, { correlationId: 0, clientId: '' }, message)
        } catch (error) {
          assert.ok(PipelineError.is(error), 'this version has no place for a field of the message')
          continue
        }
        const connection = await connectTo(t, broker)
        const request = connection.request(api, { version: other, message })
        const answer = await request.catch((error: unknown) => {
          silent.push(`${each.title} in version ${other}: ${String(error)}`)
        })
        sentCount += 1
        if (answer === undefined) continue
        // An id of no topic, or an empty list in another version's form, is nothing that could be refused.
        const errors = errorsIn(answer)
        if (other === version && !errors.some(error => REFUSED.test(error) || error === 'UNKNOWN_TOPIC_ID'))
          silent.push(`${each.title}: ${errors.join(', ')}`)
        answers.push(answer)
      }
      return answers[0] ?? connection.request(api, { version, message })
    }
    await each.send(sendAll)
  }
  assert.deepEqual(silent, [])
  assert.ok(sentCount > 150, `${sentCount} requests`)
})
