/** What each API needs the right to: without it, with it, and with a DENY on top of it. */

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { apiVersionsApi, ZERO_UUID } from '../../src/protocol/index.ts'
import { type AuthorizationCase, authorizationCases, type Names, type Right } from './authorization-cases.ts'
import { SecuredCluster } from './secured-cluster.ts'
import { createTopic } from './support.ts'

const AUTHORIZATION_ERROR = /_AUTHORIZATION_FAILED$/

let secured: SecuredCluster
let cases: AuthorizationCase[]
let advertised: ReadonlySet<number>

before(async () => {
  secured = await SecuredCluster.start()
  const { name: topic, id: topicId } = await createTopic({ cluster: secured, connection: secured.admin })
  const [newTopic, doomedTopic, group] = ['new', 'doomed', 'group'].map(prefix => secured.uniqueName(prefix))
  const names = { topic, topicId, newTopic: newTopic ?? '', doomedTopic: doomedTopic ?? '', group: group ?? '' }
  cases = authorizationCases({ ...names, transactionalId: secured.uniqueName('transaction') })
  const { apiKeys } = await secured.asAdmin(apiVersionsApi, 2, {})
  advertised = new Set(apiKeys.map(({ apiKey }) => apiKey))
})

after(() => secured.close())

afterEach(() => secured.revokeAll())

async function errorsOf(
  { prepare, send }: AuthorizationCase,
  isWanted: (errors: readonly string[]) => boolean
): Promise<readonly string[]> {
  const once = async (): Promise<unknown> => {
    await prepare?.(secured.asAdmin)
    return send(secured.asClient)
  }
  return secured.until(once, isWanted)
}

async function assertRefused(each: AuthorizationCase, { error, operation }: Right, when: string): Promise<void> {
  const errors = await errorsOf(each, got => got.includes(error))
  assert.ok(errors.includes(error), `${when} ${operation}: ${errors.join(', ')} instead of ${error}`)
}

// The names are only known when there is a cluster; the titles do not depend on them.
const noNames: Names = { topic: '', topicId: ZERO_UUID, newTopic: '', doomedTopic: '', group: '', transactionalId: '' }

authorizationCases(noNames).forEach(({ title }, index) => {
  test(`${title} needs each of its rights, and a DENY beats them`, async t => {
    const each = cases[index]
    assert.ok(each !== undefined)
    const { rights, apiKey } = each
    if (!advertised.has(apiKey)) return t.skip('the API is not advertised')

    for (const missing of rights) {
      const others = rights.filter(right => right !== missing)
      if (others.length > 0) await secured.allow(others)
      await assertRefused(each, missing, 'without')
      await secured.revokeAll()
    }

    await secured.allow(rights)
    const errors = await errorsOf(each, got => !got.some(error => AUTHORIZATION_ERROR.test(error)))
    assert.deepEqual(
      errors.filter(error => AUTHORIZATION_ERROR.test(error)),
      [],
      'with all rights'
    )
    t.diagnostic(`with all rights: ${errors.join(', ')}`)

    for (const denied of rights) {
      await secured.allow(rights)
      await secured.deny([denied])
      await assertRefused(each, denied, 'denied')
      await secured.revokeAll()
    }
  })
})
