/** From a certificate to a principal: names as Java writes them, and Kafka's mapping rules. */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { subjectOf } from '../../../src/broker/security/authentication/distinguished-name.ts'
import { principalMapper } from '../../../src/broker/security/authentication/principal-mapper.ts'
import { pem } from './support.ts'

// Printed by Java: X509Certificate.getSubjectX500Principal().getName().
const SUBJECTS = {
  broker: 'CN=localhost',
  'broker-next': 'CN=localhost,O=Next',
  client: 'CN=ingest,OU=Events,O=Acme,C=DE',
  'odd-client':
    '1.2.840.113549.1.9.1=#160d6f70734061636d652e74657374,' +
    String.raw`CN=\ \#1\=\<\\\+x\>\;\ ,OU=a+UID=c-7,O=Acme\, \"Inc.\",L=Köln,C=DE,DC=test`
} as const

test('a subject reads as Java writes it', () => {
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    assert.equal(subjectOf(new X509Certificate(pem(name)).raw), subject)
  }
})

function map(rules: string, subject: string): string | undefined {
  const mapper = principalMapper(rules)
  assert.ok(typeof mapper === 'function', JSON.stringify(mapper))
  return mapper(subject)
}

test('the examples of KIP-371 and of Kafka’s documentation map as they say', () => {
  const rules =
    'RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L,' +
    'RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,DEFAULT'
  const rest = 'O=Unknown,L=Unknown,ST=Unknown,C=Unknown'
  assert.equal(map(rules, `CN=serviceuser,OU=ServiceUsers,${rest}`), 'serviceuser')
  assert.equal(map(rules, `CN=adminUser,OU=Admin,${rest}`), 'adminuser@admin')
  assert.equal(map(rules, 'OU=x,cn=Some.Name,O=y'), 'some.name')
  assert.equal(map(rules, 'OU=nobody'), 'OU=nobody')
})

test('rules give the first that fits, in the case they ask for, and none if none fits', () => {
  assert.equal(map('RULE:^CN=(.*?),OU=(.*)$/$2-$1/U', 'CN=a,OU=b'), 'B-A')
  assert.equal(map('RULE:^CN=a$/x/, DEFAULT', 'CN=ab'), 'CN=ab')
  assert.equal(map('RULE:^CN=a$/x/', 'CN=ab'), undefined)
  assert.equal(map('RULE:^CN=(.*)$/$1\\/x$2/', 'CN=a'), 'a/x$2')
  assert.equal(map('RULE:^CN=(.*)$/$12/', 'CN=a'), 'a2')
  assert.equal(map('', 'CN=a'), undefined)
})

test('rules that are none are named', () => {
  for (const rules of ['RULE:a/b', 'RULES', 'RULE:(/x/', 'DEFAULT,RULE:[/x/']) {
    const mapper = principalMapper(rules)
    assert.ok(typeof mapper !== 'function', rules)
    assert.match(mapper.problem, /RULE:pattern|regular expression/)
  }
})
