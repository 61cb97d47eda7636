/** Decisions of ACLs: Kafka's rules one by one, and a comparison with the rules written down plainly. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Action,
  AclIndex,
  aclProblem,
  type Decision,
  filterProblem,
  isMeant
} from '../../../src/broker/security/acls/acl-index.ts'
import { type AclBinding, type AclFilter, ANY, PATTERN_MATCH } from '../../../src/broker/security/acls/acl-types.ts'
import { SeededRandom } from '../../../src/core/index.ts'

// Numbers as Kafka has them on the wire.
const TOPIC = 2
const GROUP = 3
const LITERAL = 3
const PREFIXED = 4
const ALL = 2
const READ = 3
const WRITE = 4
const DELETE = 6
const ALTER = 7
const DESCRIBE = 8
const DESCRIBE_CONFIGS = 10
const ALTER_CONFIGS = 11
const DENY = 2
const ALLOW = 3

function acl(change: Partial<AclBinding> = {}): AclBinding {
  return {
    resourceType: TOPIC,
    resourceName: 'orders',
    patternType: LITERAL,
    principal: 'User:alice',
    host: '*',
    operation: READ,
    permission: ALLOW,
    ...change
  }
}

function action(change: Partial<Action> = {}): Action {
  return {
    principal: 'User:alice',
    host: '10.0.0.1',
    operation: READ,
    resourceType: TOPIC,
    resourceName: 'orders',
    ...change
  }
}

function decide(acls: readonly AclBinding[], change: Partial<Action> = {}): Decision {
  return new AclIndex(acls).decide(action(change))
}

test('an ALLOW lets its principal do its operation on its resource, and nothing else', () => {
  const acls = [acl()]

  assert.equal(decide(acls), 'allowed')
  assert.equal(decide(acls, { operation: WRITE }), 'noAclForOperation')
  assert.equal(decide(acls, { principal: 'User:bob' }), 'noAclForOperation')
  assert.equal(decide(acls, { resourceName: 'orders2' }), 'noAclForResource')
  assert.equal(decide(acls, { resourceType: GROUP }), 'noAclForResource')
})

test('a DENY beats any ALLOW, in whatever order and however specific they are', () => {
  const deny = acl({ permission: DENY, resourceName: '*', principal: 'User:*', operation: ALL })
  const allow = acl()

  assert.equal(decide([allow, deny]), 'denied')
  assert.equal(decide([deny, allow]), 'denied')
  assert.equal(decide([allow, acl({ permission: DENY, resourceName: 'o', patternType: PREFIXED })]), 'denied')
})

test('a prefixed ACL is about every name that begins with it, the prefix itself included', () => {
  const acls = [acl({ resourceName: 'ord', patternType: PREFIXED })]

  assert.equal(decide(acls, { resourceName: 'ord' }), 'allowed')
  assert.equal(decide(acls, { resourceName: 'orders' }), 'allowed')
  assert.equal(decide(acls, { resourceName: 'or' }), 'noAclForResource')
  assert.equal(decide(acls, { resourceName: 'word' }), 'noAclForResource')
})

test('the literal name * is about every name, the prefixed name * only about names with a star', () => {
  assert.equal(decide([acl({ resourceName: '*' })]), 'allowed')
  assert.equal(decide([acl({ resourceName: '*', patternType: PREFIXED })]), 'noAclForResource')
})

test('User:* is everybody, other principals with a star are nobody', () => {
  assert.equal(decide([acl({ principal: 'User:*' })], { principal: 'User:bob' }), 'allowed')
  assert.equal(decide([acl({ principal: 'User:a*' })]), 'noAclForOperation')
})

test('an ACL with a host is about clients of that address alone', () => {
  const acls = [acl({ host: '10.0.0.1' })]

  assert.equal(decide(acls), 'allowed')
  assert.equal(decide(acls, { host: '10.0.0.2' }), 'noAclForOperation')
})

test('an address is the same however it is written', () => {
  for (const host of ['0:0:0:0:0:0:0:1', '::1', '0000::0001'])
    assert.equal(decide([acl({ host })], { host: '::1' }), 'allowed')
  for (const host of ['2001:DB8:0:0:0:0:0:7', '2001:db8::7'])
    assert.equal(decide([acl({ host })], { host: '2001:db8::7' }), 'allowed')
  assert.equal(decide([acl({ host: '::ffff:10.0.0.1' })]), 'allowed')
  assert.equal(decide([acl({ host: 'fe80:0::1%eth0' })], { host: 'fe80::1%eth0' }), 'allowed')
  assert.equal(decide([acl({ host: 'my.host' })], { host: 'my.host' }), 'allowed')
})

test('to be allowed to read, write, delete or alter is to be allowed to describe; a DENY implies nothing', () => {
  for (const operation of [READ, WRITE, DELETE, ALTER]) {
    assert.equal(decide([acl({ operation })], { operation: DESCRIBE }), 'allowed')
    const denied = [acl({ operation, permission: DENY }), acl({ operation: DESCRIBE })]
    assert.equal(decide(denied, { operation: DESCRIBE }), 'allowed')
  }
  assert.equal(decide([acl({ operation: ALTER_CONFIGS })], { operation: DESCRIBE_CONFIGS }), 'allowed')
  assert.equal(decide([acl({ operation: ALTER_CONFIGS })], { operation: DESCRIBE }), 'noAclForOperation')
  assert.equal(decide([acl({ operation: DESCRIBE })], { operation: READ }), 'noAclForOperation')
})

test('the operation ALL is every operation, for ALLOW and for DENY', () => {
  assert.equal(decide([acl({ operation: ALL })], { operation: ALTER_CONFIGS }), 'allowed')
  assert.equal(decide([acl({ operation: ALL, permission: DENY }), acl()]), 'denied')
})

test('whether some resource may be written is decided as KIP-679 says', () => {
  const who = { principal: 'User:alice', host: '10.0.0.1', operation: WRITE, resourceType: TOPIC }
  const may = (...acls: Partial<AclBinding>[]): boolean =>
    new AclIndex(acls.map(each => acl({ operation: WRITE, ...each }))).mayOnAny(who)

  assert.equal(may(), false)
  assert.equal(may({}), true)
  assert.equal(may({ operation: READ }), false)
  assert.equal(may({}, { permission: DENY }), false)
  assert.equal(may({ resourceName: '*' }, { permission: DENY }), true)
  assert.equal(may({ resourceName: '*' }, { resourceName: '*', permission: DENY }), false)
  assert.equal(may({ resourceName: 'ord', patternType: PREFIXED }, { permission: DENY }), true)
  assert.equal(may({}, { resourceName: 'ord', patternType: PREFIXED, permission: DENY }), false)
  const denied = { resourceName: 'o', patternType: PREFIXED, permission: DENY }
  assert.equal(may({ resourceName: 'ord', patternType: PREFIXED }, denied), false)
  assert.equal(may({ resourceName: 'ord', patternType: PREFIXED }, { ...denied, host: '10.0.0.2' }), true)
})

/** The rules as Kafka's documentation states them, without any index. */
function plainDecision(acls: readonly AclBinding[], wanted: Action): Decision {
  const fits = acls.filter(({ resourceType, patternType, resourceName }) => {
    if (resourceType !== wanted.resourceType) return false
    if (patternType === PREFIXED) return wanted.resourceName.startsWith(resourceName)
    return resourceName === '*' || resourceName === wanted.resourceName
  })
  if (fits.length === 0) return 'noAclForResource'
  const isAbout = (each: AclBinding): boolean =>
    ['User:*', wanted.principal].includes(each.principal) && ['*', wanted.host].includes(each.host)
  const isDenied = fits.some(
    each => isAbout(each) && each.permission === DENY && [ALL, wanted.operation].includes(each.operation)
  )
  if (isDenied) return 'denied'
  const allowing = new Map([
    [DESCRIBE, [ALL, DESCRIBE, READ, WRITE, DELETE, ALTER]],
    [DESCRIBE_CONFIGS, [ALL, DESCRIBE_CONFIGS, ALTER_CONFIGS]]
  ])
  const wantedOperations = allowing.get(wanted.operation) ?? [ALL, wanted.operation]
  const isAllowed = fits.some(
    each => isAbout(each) && each.permission === ALLOW && wantedOperations.includes(each.operation)
  )
  return isAllowed ? 'allowed' : 'noAclForOperation'
}

test('random ACLs decide as the plain rules say', t => {
  const seed = Number(process.env['TEST_SEED'] ?? 20_231)
  t.diagnostic(`TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const pick = <T>(items: readonly [T, ...T[]]): T => items[Math.floor(random.next() * items.length)] ?? items[0]
  const name = (): string => pick(['*', 'a', 'ab', 'abc', 'abd', 'b', 'ba', 'bac'] as const)
  const decisions = new Set<Decision>()
  for (let round = 0; round < 300; round++) {
    const acls = Array.from({ length: Math.floor(random.next() * 12) }, () => ({
      resourceType: pick([TOPIC, GROUP] as const),
      resourceName: name(),
      patternType: pick([LITERAL, PREFIXED] as const),
      principal: pick(['User:alice', 'User:bob', 'User:*'] as const),
      host: pick(['*', '10.0.0.1', '10.0.0.2'] as const),
      operation: pick([ALL, READ, WRITE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS] as const),
      permission: pick([ALLOW, ALLOW, DENY] as const)
    }))
    const index = new AclIndex(acls)
    for (let question = 0; question < 30; question++) {
      const wanted = {
        principal: pick(['User:alice', 'User:bob', 'User:carol'] as const),
        host: pick(['10.0.0.1', '10.0.0.2'] as const),
        operation: pick([READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS, ALTER] as const),
        resourceType: pick([TOPIC, GROUP] as const),
        resourceName: name()
      }
      const expected = plainDecision(acls, wanted)
      decisions.add(expected)
      assert.equal(index.decide(wanted), expected, JSON.stringify({ acls, wanted }))
    }
  }
  assert.equal(decisions.size, 4, 'every kind of decision was seen')
})

function filter(change: Partial<AclFilter> = {}): AclFilter {
  return {
    resourceType: ANY,
    resourceName: null,
    patternType: ANY,
    principal: null,
    host: null,
    operation: ANY,
    permission: ANY,
    ...change
  }
}

test('a filter with a pattern type finds the very patterns, MATCH finds what applies to a name', () => {
  const literal = acl()
  const wildcard = acl({ resourceName: '*' })
  const prefixed = acl({ resourceName: 'ord', patternType: PREFIXED })
  const found = (change: Partial<AclFilter>): AclBinding[] =>
    [literal, wildcard, prefixed].filter(each => isMeant(filter(change), each))

  assert.deepEqual(found({}), [literal, wildcard, prefixed])
  assert.deepEqual(found({ resourceName: 'orders', patternType: LITERAL }), [literal])
  assert.deepEqual(found({ resourceName: 'orders', patternType: ANY }), [literal])
  assert.deepEqual(found({ resourceName: 'orders', patternType: PATTERN_MATCH }), [literal, wildcard, prefixed])
  assert.deepEqual(found({ resourceName: 'ord', patternType: PREFIXED }), [prefixed])
  assert.deepEqual(found({ resourceName: '*', patternType: PATTERN_MATCH }), [wildcard])
  assert.deepEqual(found({ patternType: PREFIXED }), [prefixed])
  assert.deepEqual(found({ resourceName: 'o', patternType: PATTERN_MATCH }), [wildcard])
})

test('a filter compares principal, host, operation and permission as they are written', () => {
  const given = acl({ principal: 'User:*', host: '10.0.0.1', operation: ALL, permission: DENY })

  assert.equal(
    isMeant(filter({ principal: 'User:*', host: '10.0.0.1', operation: ALL, permission: DENY }), given),
    true
  )
  assert.equal(isMeant(filter({ principal: 'User:alice' }), given), false)
  assert.equal(isMeant(filter({ host: '*' }), given), false)
  assert.equal(isMeant(filter({ operation: READ }), given), false)
  assert.equal(isMeant(filter({ permission: ALLOW }), given), false)
  assert.equal(isMeant(filter({ resourceType: GROUP }), given), false)
})

test('an ACL of unknown, any or missing parts is refused in the words of Kafka', () => {
  assert.equal(aclProblem(acl()), undefined)
  assert.equal(aclProblem(acl({ resourceType: 99 })), 'Invalid resourceType UNKNOWN')
  assert.equal(aclProblem(acl({ resourceType: ANY })), 'Invalid resourceType ANY')
  assert.equal(aclProblem(acl({ patternType: PATTERN_MATCH })), 'Invalid patternType MATCH')
  assert.equal(aclProblem(acl({ operation: 99 })), 'Invalid operation UNKNOWN')
  assert.equal(aclProblem(acl({ permission: 99 })), 'Invalid permissionType UNKNOWN')
  assert.equal(aclProblem(acl({ resourceName: '' })), 'Resource name should not be empty')
  assert.match(aclProblem(acl({ principal: 'alice' })) ?? '', /Could not parse principal from `alice`/)
  assert.equal(filterProblem(filter()), undefined)
  assert.equal(filterProblem(filter({ patternType: PATTERN_MATCH })), undefined)
  assert.equal(filterProblem(filter({ resourceType: 99 })), 'Unknown patternFilter.')
  assert.equal(filterProblem(filter({ operation: 99 })), 'Unknown entryFilter.')
})
