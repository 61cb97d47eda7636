/** Where a certificate, a key, a password or a secret of `kafka:` comes from. */

import { z } from 'zod'

const location = {
  file: z.string().min(1).optional().describe('Path of a file, counted from the folder of the pipeline file.'),
  env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not the name of an environment variable: write its name alone, without ${}')
    .optional()
    .describe('Name of an environment variable with the text itself, or base64 of it. Read at the start.'),
  s3: z
    .string()
    .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/.+$/, 'not an address in S3: write s3://bucket/key')
    .optional()
    .describe('Object in Amazon S3, `s3://bucket/key`. Needs s3:GetObject.'),
  secret: z
    .string()
    .min(1)
    .max(2048)
    .optional()
    .describe('Name or ARN of a secret in AWS Secrets Manager. Needs secretsmanager:GetSecretValue.')
}

const sourceShape = z.strictObject({
  ...location,
  region: z.string().min(1).optional().describe('AWS region of `s3` or `secret`. Default: the ARN’s, or AWS’s chain.'),
  endpoint: z
    .url({ protocol: /^https?$/, error: 'not an http:// or https:// address' })
    .optional()
    .describe('Address of the service instead of AWS’s own: a VPC endpoint, or a compatible service.'),
  versionId: z.string().min(1).optional().describe('Version of the object in S3. Default: the newest.'),
  field: z.string().min(1).optional().describe('Member of a secret that is a JSON object. Default: the whole secret.'),
  versionStage: z.string().min(1).optional().describe('Stage of the secret. Default: AWSCURRENT.')
})

const kinds = ['file', 'env', 's3', 'secret'] as const
const belongings = { region: ['s3', 'secret'], endpoint: ['s3', 'secret'], versionId: ['s3'] } as const
const belongingsOfSecrets = { field: ['secret'], versionStage: ['secret'] } as const

/** One place: a file, a variable, an object in S3 or a secret. */
export const sourceSchema = sourceShape
  .superRefine((source, context) => {
    // A name that is not known explains what is missing.
    if (context.issues.length > 0) return
    const report = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message })
    const given = kinds.filter(kind => source[kind] !== undefined)
    const [first, second] = given
    if (first === undefined) report([], 'says no place: write one of file, env, s3 or secret')
    if (second !== undefined) report([second], `beside ${first}: one place only, leave out one of the two`)
    for (const [name, owners] of Object.entries({ ...belongings, ...belongingsOfSecrets })) {
      const isGiven = source[name as keyof typeof source] !== undefined
      if (isGiven && first !== undefined && !(owners as readonly string[]).includes(first)) {
        report([name], `belongs to ${owners.join(' or ')}, not to ${first}: leave it out`)
      }
    }
  })
  .meta({ title: 'source' })

/** A place, as read. Exactly one of `file`, `env`, `s3` and `secret` is there. */
export type SourceOfCredentials = z.infer<typeof sourceShape>

const path = z
  .string()
  .min(1)
  .refine(text => !text.includes('-----BEGIN '), 'is the text itself, not a file: for a variable write { env: NAME }')
  .transform((file): SourceOfCredentials => ({ file }))

/** A certificate or key: the path of a file, or another place. */
export const materialSchema = z.union([path, sourceSchema])

/** A password or secret: the text itself, by `${VARIABLE}`, or a place. */
export const secretTextSchema = z.union([z.string().min(1), sourceSchema])

/** A password or secret, as read. */
export type SecretText = z.infer<typeof secretTextSchema>
