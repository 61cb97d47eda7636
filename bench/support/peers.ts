/** The brokers that are compared: ours as it is published, and Apache Kafka, each in a process of its own. */

import { startKafkaJvm } from '../../test/support/kafka-jvm.ts'
import { pidOf, startBrokerChild } from './broker-child.ts'

/** A broker process under measurement. */
export interface Peer {
  readonly name: 'comporta' | 'kafka'
  readonly pid: number
  readonly bootstrapServers: string
  readonly port: number
  close(): Promise<void>
}

/** Which peers, and how. */
export interface PeerOptions {
  /** Only this one. Default: both. */
  readonly only?: string | undefined
  /** Arguments of Node for ours. */
  readonly nodeArgs?: readonly string[]
  /** Settings of both, by Kafka's names. */
  readonly settings?: Readonly<Record<string, string>>
  /** Heap of Apache Kafka, MiB. Default 1024, as its own start script gives it. */
  readonly heapMb?: number
}

/** Starts the peers; ours first. */
export async function startPeers(options: PeerOptions = {}): Promise<Peer[]> {
  const { settings = {} } = options
  const peers: Peer[] = []
  if (options.only !== 'kafka') {
    const given = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
    const broker = await startBrokerChild({ nodeArgs: options.nodeArgs ?? [], settings: given })
    const { pid, bootstrapServers } = broker
    peers.push({ name: 'comporta', pid, bootstrapServers, port: portOf(bootstrapServers), close: () => broker.stop() })
  }
  if (options.only !== 'comporta') {
    const kafka = await startKafkaJvm({ heapMb: options.heapMb ?? 1024, overrides: settings })
    const pid = await pidOf(`${kafka.dir}/server.properties`)
    const { bootstrapServers } = kafka
    peers.push({ name: 'kafka', pid, bootstrapServers, port: portOf(bootstrapServers), close: () => kafka.close() })
  }
  return peers
}

function portOf(bootstrapServers: string): number {
  return Number(bootstrapServers.split(':')[1])
}
