/** `producer.sources[]` with `type: http`. */

import { z } from 'zod'

import { integer, listenHost, milliseconds, port } from './common.ts'

const idempotency = z
  .strictObject({
    windowMs: milliseconds(1000).default(600_000).describe('How long an answer is kept.'),
    keysMax: integer(1, 10_000_000).default(100_000).describe('Most keys; above it the oldest answers go.'),
    bytesMax: integer(65_536, 4_294_967_296)
      .default(67_108_864)
      .describe('Most bytes of keys and answers; above it the oldest answers go.')
  })
  .describe(
    'Answers that are kept for requests with an `Idempotency-Key`: the same request again gets the same answer, ' +
      'and is not published twice. Each instance has its own.'
  )

const tls = z
  .strictObject({
    cert: z.string().min(1).describe('File with the certificate and those between it and its authority, PEM.'),
    key: z.string().min(1).describe('File with its private key, PEM.'),
    clientCa: z
      .string()
      .min(1)
      .optional()
      .describe('File with the authorities of clients, PEM. Requests need a certificate of theirs then.')
  })
  .describe('Serves HTTPS. The files are read again when they have changed. Default: HTTP.')

/** `type: http` */
export const httpSourceSchema = z.strictObject({
  type: z.literal('http'),
  host: listenHost,
  port: port.default(8080),
  bodyBytesMax: integer(1024, 104_857_600).default(10_485_760).describe('A larger body is answered with 413.'),
  pendingBytesMax: integer(1024, 4_294_967_296)
    .default(67_108_864)
    .describe('Most bytes of bodies waiting for Kafka; above it the answer is 429 with Retry-After.'),
  token: z
    .string()
    .min(16)
    .regex(/^[A-Za-z0-9._~+/-]+=*$/, 'not a bearer token: letters, digits and -._~+/, then perhaps =')
    .optional()
    .describe('Bearer token that `POST /events` needs, best `${VARIABLE}`. Default: none. Source: RFC 6750.'),
  idempotency: idempotency.prefault({}),
  tls: tls.optional()
})
