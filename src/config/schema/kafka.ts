/** `kafka:` — how to reach the cluster, and `topics:` — what must exist on it. */

import { z } from 'zod'

import { integer, milliseconds, port } from './common.ts'

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:,]+):\d{1,5}$/, 'not a broker address: write host:port, for example 127.0.0.1:9092')

const embedded = z
  .strictObject({
    port: port.default(9092).describe('Port of the embedded broker on 127.0.0.1.'),
    dataDir: z.string().min(1).default('.comporta/data').describe('Folder of its log.')
  })
  .describe('The embedded broker, where bootstrapServers is `embedded`.')

const bootstrapServers = z
  .union([
    z.literal('embedded').transform(() => []),
    z.array(address).min(1),
    z
      .string()
      .transform(text => text.split(',').map(part => part.trim()))
      .pipe(z.array(address).min(1))
  ])
  .describe('Brokers to start from: a list, one string with commas, or `embedded`. Source: Kafka `bootstrap.servers`.')

const tls = z.strictObject({
  ca: z.string().optional().describe('PEM file of the certificate authorities to trust. Default: the system’s.'),
  cert: z.string().optional().describe('PEM file of the client certificate (mTLS).'),
  key: z.string().optional().describe('PEM file of the client’s private key (mTLS).'),
  serverName: z.string().optional().describe('Host name to check in the certificate. Default: the broker’s host.')
})

const password = z.string().min(1).describe('Give it by ${VARIABLE}, never in the file itself.')

const sasl = z
  .discriminatedUnion('mechanism', [
    z.strictObject({
      mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
      username: z.string().min(1),
      password
    }),
    z.strictObject({
      mechanism: z.literal('OAUTHBEARER'),
      token: z.string().min(1).describe('The bearer token. Give it by ${VARIABLE}.')
    }),
    z.strictObject({
      mechanism: z.literal('AWS_MSK_IAM'),
      region: z.string().min(1).describe('AWS region of the cluster. Credentials come from AWS’s default chain.')
    })
  ])
  .describe('How to authenticate. AWS_MSK_IAM signs OAUTHBEARER tokens for Amazon MSK.')

const kafkaShape = z.strictObject({
  bootstrapServers,
  embedded: embedded.prefault({}),
  clientId: z.string().min(1).max(249).default('comporta').describe('Source: Kafka `client.id`.'),
  tls: z
    .union([z.boolean(), tls])
    .optional()
    .describe(
      '`true` for TLS with the system’s authorities, or the files to use. Amazon MSK wants TLS with IAM and SCRAM.'
    ),
  sasl: sasl.optional(),
  requestTimeoutMs: milliseconds(1000).default(30_000).describe('Source: Kafka `request.timeout.ms`.'),
  connectTimeoutMs: milliseconds(100)
    .default(10_000)
    .describe('Longest wait for a connection, TLS and SASL included. A command that finds no broker for so long ends.')
})

/** `kafka:` — with the embedded broker the address follows from its port. */
export const kafkaSchema = kafkaShape.transform(kafka => {
  const isEmbedded = kafka.bootstrapServers.length === 0
  return {
    ...kafka,
    isEmbedded,
    bootstrapServers: isEmbedded ? [`127.0.0.1:${kafka.embedded.port}`] : kafka.bootstrapServers
  }
})

/** One entry of `topics:` */
export const topicSchema = z.strictObject({
  partitions: integer(1, 100_000).default(1).describe('Number of partitions when the topic is created.'),
  replicationFactor: integer(-1, 100)
    .default(-1)
    .describe('Number of replicas when the topic is created; -1 for the broker’s default.'),
  config: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .default({})
    .describe('Topic settings under Kafka’s names, for example `retention.ms`.')
})

/** `kafka:` as read. */
export type KafkaConfig = z.infer<typeof kafkaSchema>
/** One entry of `topics:` as read. */
export type TopicConfig = z.infer<typeof topicSchema>
