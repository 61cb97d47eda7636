/** The syslog source, and sources that are modules of the user. */

import { z } from 'zod'

import { integer, listenHost, milliseconds, port } from './common.ts'

/** `type: syslog` */
export const syslogSourceSchema = z.strictObject({
  type: z.literal('syslog'),
  host: listenHost,
  port: port.default(5514).describe('TCP and UDP port.'),
  protocols: z
    .array(z.enum(['tcp', 'udp']))
    .min(1)
    .default(['tcp', 'udp']),
  tls: z
    .strictObject({
      cert: z.string().min(1).describe('PEM file of the certificate, with its chain.'),
      key: z.string().min(1).describe('PEM file of its key.'),
      ca: z.string().min(1).optional().describe('PEM file: clients must show a certificate of this authority.')
    })
    .optional()
    .describe('TCP speaks TLS. Source: RFC 5425.'),
  messageBytesMax: integer(480, 1_048_576).default(65_536).describe('A longer message becomes a dead letter.'),
  connectionsMax: integer(1, 100_000).default(1000).describe('More connections are closed at once.'),
  idleMs: milliseconds(1000, 86_400_000).default(600_000).describe('A connection that is silent so long is closed.'),
  queueBytesMax: integer(65_536, 1_073_741_824)
    .default(16_777_216)
    .describe('Most bytes that wait, of TCP and UDP each. Beyond, TCP is not read, UDP is dropped and counted.')
})

/** `type: module` */
export const moduleSourceSchema = z.strictObject({
  type: z.literal('module'),
  file: z.string().min(1).describe('A module whose `createSource` export makes a source, in this process.'),
  options: z.record(z.string(), z.unknown()).default({}).describe('What `createSource` is called with.')
})
