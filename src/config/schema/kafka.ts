/** `kafka:` — how to reach the cluster, and `topics:` — what must exist on it. */

import { z } from 'zod'

import { integer, milliseconds, port } from './common.ts'
import { saslSchema } from './kafka-sasl.ts'
import { tlsSchema } from './kafka-tls.ts'

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

const kafkaShape = z.strictObject({
  bootstrapServers,
  embedded: embedded.prefault({}),
  clientId: z.string().min(1).max(249).default('comporta').describe('Source: Kafka `client.id`.'),
  tls: z
    .union([z.boolean(), tlsSchema])
    .optional()
    .describe(
      '`true` for TLS with Node’s authorities, or whom to trust and what to show. Amazon MSK wants it with SASL.'
    ),
  sasl: saslSchema.optional(),
  requestTimeoutMs: milliseconds(1000).default(30_000).describe('Source: Kafka `request.timeout.ms`.'),
  connectTimeoutMs: milliseconds(100)
    .default(10_000)
    .describe('Longest wait for a connection, TLS and SASL included. A command that finds no broker for so long ends.')
})

const kafkaRules = kafkaShape.superRefine((kafka, context) => {
  const report = (name: string, message: string): void => context.addIssue({ code: 'custom', path: [name], message })
  const isEncrypted = kafka.tls !== undefined && kafka.tls !== false
  if (kafka.bootstrapServers.length === 0) {
    if (isEncrypted) report('tls', 'the embedded broker has no TLS: leave it out, or name brokers in bootstrapServers')
    if (kafka.sasl !== undefined) {
      report('sasl', 'the embedded broker asks nobody who he is: leave it out, or name brokers in bootstrapServers')
    }
  } else if (kafka.sasl?.mechanism === 'AWS_MSK_IAM' && !isEncrypted) {
    report('sasl', 'AWS_MSK_IAM is offered with TLS only: add tls: true')
  }
})

/** `kafka:` — with the embedded broker the address follows from its port. */
export const kafkaSchema = kafkaRules.transform(kafka => {
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
