/** `broker`: the embedded broker, a single-node Kafka for development, tests and edge boxes. */

export type { Fault, FaultHook, FaultRequest, FaultRule, Faults, Injection } from './testing/faults.ts'
export { KAFKA_RELEASES, type KafkaRelease } from './testing/kafka-releases.ts'
export { type Broker, type BrokerOptions, startBroker } from './start-broker.ts'
