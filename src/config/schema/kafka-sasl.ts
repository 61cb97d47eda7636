/** `kafka.sasl` — how to authenticate. */

import { z } from 'zod'

import { httpUrl, milliseconds } from './common.ts'
import { secretTextSchema, sourceSchema } from './kafka-sources.ts'

type AddIssue = (issue: { code: 'custom'; path: string[]; message: string }) => void

function reporter(context: { addIssue: AddIssue }): (name: string, message: string) => void {
  return (name, message) => context.addIssue({ code: 'custom', path: name === '' ? [] : [name], message })
}

const reloadMs = milliseconds(1000)
  .optional()
  .describe('How often the places are looked at for something new. Default 60,000 for files, 300,000 for AWS.')

const passwordShape = z.strictObject({
  mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
  username: secretTextSchema.optional().describe('The user, or where its name comes from.'),
  password: secretTextSchema
    .optional()
    .describe('The password. Give it by ${VARIABLE} or a source, never in the file itself.'),
  credentials: sourceSchema
    .optional()
    .describe('Where both come from: a JSON object with `username` and `password`, as Amazon MSK’s secrets are.'),
  reloadMs
})

const passwordSchema = passwordShape.superRefine((sasl, context) => {
  const report = reporter(context)
  if (sasl.credentials !== undefined) {
    for (const name of ['username', 'password'] as const) {
      if (sasl[name] !== undefined) report(name, 'beside credentials, which has it: leave out one of the two')
    }
    return
  }
  if (sasl.username === undefined) report('username', 'is missing: give username and password, or credentials')
  if (sasl.password === undefined) report('password', 'is missing: give username and password, or credentials')
})

const refreshShape = z
  .strictObject({
    windowFactor: z
      .number()
      .min(0.5)
      .max(1)
      .default(0.8)
      .describe('Share of a token’s life after which it is replaced. Source: `sasl.login.refresh.window.factor`.'),
    windowJitter: z
      .number()
      .min(0)
      .max(0.25)
      .default(0.05)
      .describe('Largest random share that is added. Source: `sasl.login.refresh.window.jitter`.'),
    minPeriodMs: milliseconds(0, 900_000)
      .default(60_000)
      .describe('Least time between two refreshes. Source: `sasl.login.refresh.min.period.seconds`.'),
    bufferMs: milliseconds(0, 3_600_000)
      .default(300_000)
      .describe('Time before the end of a token that is kept free. Source: `sasl.login.refresh.buffer.seconds`.')
  })
  .describe('When a token is fetched anew; with tokens that live shorter than both times together, these are ignored.')

const extensionName = z
  .string()
  .regex(/^(?!auth$)[A-Za-z]+$/, 'not the name of an extension: letters only, and not "auth"')
const extensionValue = z.string().regex(/^[\x20-\x7e\t\r\n]*$/, 'not the value of an extension: printable ASCII only')

const bearerShape = z.strictObject({
  mechanism: z.literal('OAUTHBEARER'),
  token: z.string().min(1).optional().describe('A token that never changes. Give it by ${VARIABLE}.'),
  tokenFile: z
    .string()
    .min(1)
    .optional()
    .describe('File with the token, read for every authentication: a projected token of Kubernetes, for example.'),
  tokenEndpoint: httpUrl
    .optional()
    .describe('Where client credentials get tokens (RFC 6749, 4.4). Source: `sasl.oauthbearer.token.endpoint.url`.'),
  clientId: z.string().min(1).optional().describe('Client id at the token endpoint.'),
  clientSecret: secretTextSchema
    .optional()
    .describe('Client secret. Give it by ${VARIABLE} or a source, never in the file itself.'),
  clientAuthentication: z
    .enum(['basic', 'body'])
    .optional()
    .describe('How the client shows its secret: in the Authorization header (`basic`, the default) or in the body.'),
  scope: z.string().min(1).optional().describe('Scopes to ask for, separated by spaces.'),
  parameters: z
    .record(z.string(), z.string())
    .optional()
    .describe('More members of the request, such as `audience` or `resource`.'),
  extensions: z
    .record(extensionName, extensionValue)
    .optional()
    .describe('SASL extensions sent with the token (KIP-342), such as `logicalCluster`.'),
  refresh: refreshShape.prefault({}),
  timeoutMs: milliseconds(100, 300_000).default(10_000).describe('Longest wait for the token endpoint.')
})

const tokenSources = ['token', 'tokenFile', 'tokenEndpoint'] as const
const ofEndpoint = ['clientId', 'clientSecret', 'clientAuthentication', 'scope', 'parameters'] as const

const bearerSchema = bearerShape.superRefine((sasl, context) => {
  const report = reporter(context)
  const [first, second] = tokenSources.filter(name => sasl[name] !== undefined)
  if (first === undefined) report('', 'has no token: give one of token, tokenFile or tokenEndpoint')
  if (second !== undefined) report(second, `beside ${first}: one of the two only`)
  if (sasl.tokenEndpoint === undefined) {
    for (const name of ofEndpoint) if (sasl[name] !== undefined) report(name, 'belongs to tokenEndpoint: leave it out')
    return
  }
  for (const name of ['clientId', 'clientSecret'] as const) {
    if (sasl[name] === undefined) report(name, 'is missing: tokenEndpoint needs a client with its secret')
  }
  const endpoint = URL.parse(sasl.tokenEndpoint) // what is no address has its problem already
  // It would stand in every error of the endpoint.
  if (endpoint !== null && (endpoint.username !== '' || endpoint.password !== '')) {
    report('tokenEndpoint', 'has a user or a password in it: give clientId and clientSecret instead')
  }
})

const iamShape = z.strictObject({
  mechanism: z.literal('AWS_MSK_IAM'),
  region: z
    .string()
    .regex(/^[a-z]{2,}(-[a-z]+)+-\d+$/, 'not an AWS region: write it as in eu-west-1')
    .describe('AWS region of the cluster. Credentials come from AWS’s default chain.'),
  roleArn: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/.+$/, 'not a role: write arn:aws:iam::123456789012:role/name')
    .optional()
    .describe('Role to assume for signing, for a cluster of another account. Default: the credentials as they are.'),
  roleSessionName: z
    .string()
    .regex(/^[\w+=,.@-]{2,64}$/, 'not a session name: 2 to 64 letters, digits or any of _+=,.@-')
    .optional()
    .describe('Name of the session of `roleArn` in AWS’s logs. Default: the name of the client.'),
  profile: z.string().min(1).optional().describe('Profile of AWS’s shared files. Default: AWS’s default chain.')
})

const iamSchema = iamShape.superRefine((sasl, context) => {
  const report = reporter(context)
  if (sasl.roleArn !== undefined && sasl.profile !== undefined) {
    report('profile', 'beside roleArn: one of the two only (a profile may name a role itself)')
  }
  if (sasl.roleSessionName !== undefined && sasl.roleArn === undefined) {
    report('roleSessionName', 'belongs to roleArn: give it, or leave this out')
  }
})

/** `kafka.sasl`. */
export const saslSchema = z
  .discriminatedUnion('mechanism', [passwordSchema, bearerSchema, iamSchema])
  .describe('How to authenticate. AWS_MSK_IAM signs OAUTHBEARER tokens for Amazon MSK.')

/** `kafka.sasl` with user and password, as read. */
export type PasswordSaslConfig = z.infer<typeof passwordShape>
/** `kafka.sasl` with bearer tokens, as read. */
export type BearerSaslConfig = z.infer<typeof bearerShape>
/** `kafka.sasl` with Amazon MSK's IAM, as read. */
export type IamSaslConfig = z.infer<typeof iamShape>
