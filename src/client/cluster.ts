/** One client's view of a Kafka cluster: connections, metadata, coordinators. */

import { PipelineError } from '../core/index.ts'
import type { Api } from '../protocol/index.ts'
import type { ClusterMetadata, ClusterOptions, SendOptions } from './cluster-options.ts'

const unfinished = (): never => {
  throw new PipelineError('ERR_CLIENT_CLOSED', 'the client is not built yet')
}

/** A connection pool to one cluster, shared by everything in a process that talks to it. */
export class Cluster {
  /** Connects to one of the bootstrap servers and reads the metadata. */
  static connect(_options: ClusterOptions): Promise<Cluster> {
    return unfinished()
  }

  /** Metadata of the given topics, from the broker (not from the cache). Default: all topics. Unknown topics have an `errorCode`. */
  metadata(_topics?: readonly string[]): Promise<ClusterMetadata> {
    return unfinished()
  }

  /** Node id of the leader, from the cache or the broker. */
  leaderOf(_topic: string, _partition: number): Promise<number> {
    return unfinished()
  }

  /** How many partitions a topic has, from the cache or the broker. */
  partitionCount(_topic: string): Promise<number> {
    return unfinished()
  }

  /** Reads the metadata of all topics in use anew; calls that meet share one request. */
  refreshMetadata(): Promise<void> {
    return unfinished()
  }

  /** Sends a request in the highest version both sides know and gives its answer; error codes in it are the caller's business. */
  send<Q, QI, S, SI>(_api: Api<Q, QI, S, SI>, _message: QI, _options: SendOptions): Promise<S> {
    return unfinished()
  }

  /** Closes all connections. Idempotent. */
  close(): Promise<void> {
    return unfinished()
  }
}
