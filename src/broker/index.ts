/** `broker`: the embedded broker, a single-node Kafka for development, tests and edge boxes. */

export type { Fault, FaultHook, FaultRequest } from './handlers/dispatcher.ts'
export { type Broker, type BrokerOptions, startBroker } from './start-broker.ts'
