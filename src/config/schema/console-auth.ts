/** `console.auth`: who may log in to the console, and what each may do. */

import { z } from 'zod'

import { integer } from './common.ts'
import { secretTextSchema } from './kafka-sources.ts'

/** A role of the console. */
export const consoleRole = z.enum(['viewer', 'operator'])

/** Part of a name with `*` for any characters. */
export const namePattern = z
  .string()
  .regex(/^[a-zA-Z0-9._*-]{1,249}$/, 'not a pattern of names: letters, digits, ".", "_", "-", and "*" for anything')

const patterns = z.array(namePattern).min(1).max(100)

const rights = {
  groups: patterns
    .optional()
    .describe('Groups that an operator may change, `*` stands for any characters. Default: all.'),
  topics: patterns.optional().describe('Topics that an operator may change, and send records to. Default: all.')
}

const tokenShape = z.strictObject({
  name: z
    .string()
    .regex(/^[\p{L}\p{N}._@ -]{1,64}$/u, 'letters, digits, ".", "_", "@", "-" and spaces, at most 64')
    .describe('Who it is, in the audit log.'),
  role: consoleRole.default('viewer').describe('What the owner may do.'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'not a SHA-256 in hexadecimal: 64 digits, as sha256sum prints them')
    .optional()
    .describe('SHA-256 of the token, in hexadecimal: the token itself is in no file then.'),
  token: secretTextSchema
    .optional()
    .describe('The token, by ${VARIABLE} or a source; at least 16 characters. Instead of `sha256`.'),
  ...rights
})

const tokenSchema = tokenShape.superRefine(({ sha256, token }, context) => {
  if ((sha256 === undefined) === (token === undefined)) {
    context.addIssue({ code: 'custom', path: [], message: 'needs one of sha256 and token' })
  }
})

const loopbackUrl = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:\/|$)/

const claimValues = z.array(z.string().min(1).max(512)).min(1).max(100)

const oidcSchema = z.strictObject({
  issuer: z
    .url({ protocol: /^https?$/, error: 'not an https:// address' })
    .refine(url => url.startsWith('https:') || loopbackUrl.test(url), 'must be https, but on this machine')
    .describe('Address of the provider; its settings are read from `/.well-known/openid-configuration` below it.'),
  clientId: z.string().min(1).max(256).describe('Name under which the console is known to the provider.'),
  clientSecret: secretTextSchema
    .optional()
    .describe('Its secret, by ${VARIABLE} or a source. Default: a public client, which PKCE protects.'),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'not a scope of OAuth 2.0'))
    .max(20)
    .default(['openid', 'profile', 'email'])
    .describe('Scopes that are asked for; `openid` is among them always.'),
  userClaim: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe(
      'Claim that names the user. Default: `email` unless it is said to be unverified, `preferred_username` or ' +
        '`sub`, the first that is there.'
    ),
  rolesClaim: z
    .string()
    .min(1)
    .max(128)
    .default('groups')
    .describe('Claim with the groups or roles of the user: a text or a list. `a.b` is member b of a.'),
  roles: z
    .array(
      z.strictObject({
        values: claimValues.describe('Values of the claim, one of which the user has. `*` is every user.'),
        role: consoleRole.describe('What such a user may do.'),
        ...rights
      })
    )
    .min(1)
    .max(100)
    .describe('Which role goes with which values; the first that fits an operator, else the first that fits.')
})

/** Logins. */
export const consoleAuthSchema = z
  .strictObject({
    tokens: z.array(tokenSchema).max(100).default([]).describe('Fixed tokens, one for each person or program.'),
    oidc: oidcSchema.optional().describe('Login at an OpenID Connect provider: authorization code with PKCE.'),
    idleMinutes: integer(1, 10_080).default(60).describe('A session ends when its page was not open for so long.'),
    sessionHours: integer(1, 720).default(12).describe('A session ends after so long whatever is done.'),
    sessionsMax: integer(1, 100_000)
      .default(1000)
      .describe('Most sessions at once; above it the one that was quiet for longest ends.')
  })
  .superRefine(({ tokens }, context) => {
    const names = tokens.map(({ name }) => name)
    names.forEach((name, index) => {
      if (names.indexOf(name) === index) return
      context.addIssue({ code: 'custom', path: ['tokens', index, 'name'], message: `there is a ${name} already` })
    })
  })
  .prefault({})
  .describe('Who may log in. Without tokens and OIDC a token is made at each start and printed: on loopback only.')

/** `console.auth` as read. */
export type ConsoleAuthConfig = z.infer<typeof consoleAuthSchema>
