/** `broker`: the embedded broker, a single-node Kafka for development, tests and edge boxes. */

export type { Fault, FaultHook, FaultRequest, FaultRule, Faults, Injection } from './testing/faults.ts'
export { KAFKA_RELEASES, type KafkaRelease, parseKafkaRelease } from './testing/kafka-releases.ts'
export type { BoundListener, Broker, BrokerOptions } from './broker-options.ts'
export type {
  ClientAuthMode,
  JsonWebKeys,
  ListenerOptions,
  ListenerSaslOptions,
  ListenerTlsOptions,
  OauthOptions,
  SaslMechanism,
  ScramUser,
  SecurityProtocol
} from './security/authentication/listener-options.ts'
export type { AuthorizerOptions } from './security/acls/index.ts'
export { startBroker } from './start-broker.ts'
export type {
  AclDescription,
  BrokerDescription,
  GroupDescription,
  PartitionDescription,
  QuotaDescription,
  TopicDescription,
  TransactionDescription
} from './testing/describe.ts'
