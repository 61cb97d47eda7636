/** `kafka.tls` — whom to trust, and the certificate to show. */

import { z } from 'zod'

import { integer, milliseconds } from './common.ts'
import { materialSchema, secretTextSchema } from './kafka-sources.ts'

const tlsShape = z.strictObject({
  ca: materialSchema.optional().describe('PEM of the certificate authorities to trust. Default: those of Node.'),
  cert: materialSchema.optional().describe('PEM of the client certificate (mTLS), the intermediate ones behind it.'),
  key: materialSchema
    .optional()
    .describe('PEM of the client’s private key (mTLS). Default: it is in the same place as `cert`.'),
  pfx: materialSchema.optional().describe('PKCS#12 (`.p12`, `.pfx`) with certificate and key, instead of both.'),
  passphrase: secretTextSchema
    .optional()
    .describe('Passphrase of `key` or `pfx`. Give it by ${VARIABLE} or a source, never in the file itself.'),
  serverName: z.string().optional().describe('Host name to check in the certificate. Default: the broker’s host.'),
  reloadMs: milliseconds(1000)
    .optional()
    .describe('How often the places are looked at for something new. Default 60,000 for files, 300,000 for AWS.'),
  expiryWarningDays: integer(0, 3650)
    .default(30)
    .describe('Days before the end of a certificate from which on `comporta check` and the log warn; 0 for never.')
})

/** `kafka.tls`, where it is not just `true`. */
export const tlsSchema = tlsShape.superRefine((tls, context) => {
  const report = (name: string, message: string): void => context.addIssue({ code: 'custom', path: [name], message })
  if (tls.key !== undefined && tls.cert === undefined) {
    report('key', tls.pfx === undefined ? 'has no certificate: give cert, too' : 'pfx has a key already: leave it out')
  }
  if (tls.pfx !== undefined && tls.cert !== undefined) {
    report('pfx', 'beside cert: give either pfx, or cert and key')
  }
  if (tls.passphrase !== undefined && tls.pfx === undefined && tls.cert === undefined) {
    report('passphrase', 'has nothing to open: it is for key or pfx, give one of them or leave it out')
  }
})

/** `kafka.tls` as read. */
export type TlsConfig = z.infer<typeof tlsShape>
