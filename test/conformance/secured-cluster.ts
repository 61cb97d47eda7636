/**
 * A cluster with an authorizer, for one test file: an embedded broker, or with
 * `KAFKA_BOOTSTRAP` set an Apache Kafka of its own, since the one that all tests
 * share has none.
 *
 * Two clients are told apart by their addresses: the administrator at 127.0.0.1
 * may do everything, the other at 127.0.0.2 only what a test grants.
 */

import { createAclsApi, deleteAclsApi, findCoordinatorApi, offsetFetchApi } from '../../src/protocol/index.ts'
import { uniqueName } from '../support/cluster.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { OPERATIONS, RESOURCES, type Right, type Send } from './authorization-cases.ts'
import { errorOf } from './support.ts'

const CLIENT_HOST = '127.0.0.2'
const ADMIN_HOST = '127.0.0.1'
const PRINCIPAL = 'User:ANONYMOUS'
const ALL_OPERATIONS = 2
const LITERAL = 3
const DENY = 2
const ALLOW = 3
const SETTLE_MS = 10_000

const CONFIG = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  // Nobody is anybody yet: without ACLs the administrator makes the first ones.
  'allow.everyone.if.no.acl.found': 'true',
  'group.initial.rebalance.delay.ms': '0'
}

/** Sends requests to a cluster, and grants rights. */
export class SecuredCluster {
  readonly bootstrapServers: string
  readonly isEmbedded: boolean
  readonly admin: RawConnection
  readonly client: RawConnection

  /** Ends the cluster. */
  readonly close: () => Promise<void>

  private constructor(cluster: Started, clients: { admin: RawConnection; client: RawConnection }) {
    this.bootstrapServers = cluster.bootstrapServers
    this.isEmbedded = cluster.isEmbedded
    this.close = cluster.close
    this.admin = clients.admin
    this.client = clients.client
  }

  /** Starts the cluster; whoever starts it closes it. */
  static async start(): Promise<SecuredCluster> {
    const cluster = await startCluster()
    // The sockets end with the broker.
    const scope = { after: () => undefined }
    const admin = await RawConnection.open(scope, cluster, { localAddress: ADMIN_HOST })
    const client = await RawConnection.open(scope, cluster, { localAddress: CLIENT_HOST })
    const secured = new SecuredCluster(cluster, { admin, client })
    await secured.#change({ permission: ALLOW, host: ADMIN_HOST }, [
      { type: 'cluster', name: 'kafka-cluster', operation: ALL_OPERATIONS },
      { type: 'topic', name: '*', operation: ALL_OPERATIONS },
      { type: 'group', name: '*', operation: ALL_OPERATIONS },
      { type: 'transactionalId', name: '*', operation: ALL_OPERATIONS }
    ])
    await secured.#untilCoordinated()
    return secured
  }

  /** Sends as the administrator. */
  readonly asAdmin: Send = (api, version, message) => this.admin.request(api, { version, message })

  /** Sends as the client without rights of its own. */
  readonly asClient: Send = (api, version, message) => this.client.request(api, { version, message })

  /** A name that no other test uses. */
  uniqueName(prefix: string): string {
    return uniqueName(prefix)
  }

  /** Lets the client do what the rights say. */
  allow(rights: readonly Right[]): Promise<void> {
    return this.#change({ permission: ALLOW, host: CLIENT_HOST }, rights.map(toBinding))
  }

  /** Forbids the client what the rights say, whatever else it is allowed. */
  deny(rights: readonly Right[]): Promise<void> {
    return this.#change({ permission: DENY, host: CLIENT_HOST }, rights.map(toBinding))
  }

  /** Takes all ACLs of the client back. */
  async revokeAll(): Promise<void> {
    const filter = {
      resourceTypeFilter: 1,
      resourceNameFilter: null,
      patternTypeFilter: 1,
      principalFilter: null,
      hostFilter: CLIENT_HOST,
      operation: 1,
      permissionType: 1
    }
    await this.admin.request(deleteAclsApi, { version: 3, message: { filters: [filter] } })
  }

  /** Sends until the answer is as wanted: Apache Kafka's ACLs take effect a moment after they were made. */
  async until(
    send: () => Promise<unknown>,
    isWanted: (errors: readonly string[]) => boolean
  ): Promise<readonly string[]> {
    const deadline = performance.now() + (this.isEmbedded ? 0 : SETTLE_MS)
    for (;;) {
      const errors = errorsIn(await send())
      if (isWanted(errors) || performance.now() >= deadline) return errors
    }
  }

  /** The topics under the coordinators are made when somebody first asks for a coordinator. */
  async #untilCoordinated(): Promise<void> {
    const group = uniqueName('first')
    const isDone = (errors: readonly string[]): boolean => errors.every(error => error === 'NONE')
    for (const keyType of [0, 1]) {
      await this.until(() => this.asAdmin(findCoordinatorApi, 4, { coordinatorKeys: [group], keyType }), isDone)
    }
    const groups = [{ groupId: group, topics: null }]
    await this.until(() => this.asAdmin(offsetFetchApi, 8, { groups }), isDone)
  }

  async #change(
    to: { permission: number; host: string },
    bindings: readonly { type: Right['type']; name: string; operation: number }[]
  ): Promise<void> {
    const creations = bindings.map(({ type, name, operation }) => ({
      resourceType: RESOURCES[type],
      resourceName: name,
      resourcePatternType: LITERAL,
      principal: PRINCIPAL,
      host: to.host,
      operation,
      permissionType: to.permission
    }))
    const { results } = await this.admin.request(createAclsApi, { version: 3, message: { creations } })
    const failed = results.map(errorOf).filter(error => error !== 'NONE')
    if (failed.length > 0) throw new Error(`an ACL was refused: ${failed.join(', ')}`)
  }
}

function toBinding({ type, name, operation }: Right): { type: Right['type']; name: string; operation: number } {
  return { type, name, operation: OPERATIONS[operation] }
}

interface Started {
  readonly bootstrapServers: string
  readonly isEmbedded: boolean
  readonly close: () => Promise<void>
}

async function startCluster(): Promise<Started> {
  const isEmbedded = (process.env['KAFKA_BOOTSTRAP'] ?? '') === ''
  if (isEmbedded) {
    const { startBroker } = await import('../../src/broker/index.ts')
    return { ...(await startBroker({ config: CONFIG })), isEmbedded }
  }
  const { startKafkaJvm } = await import('../support/kafka-jvm.ts')
  return { ...(await startKafkaJvm({ overrides: CONFIG })), isEmbedded }
}

/** Names of all error codes in a response, however deep. */
export function errorsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(errorsIn)
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return []
  return Object.entries(value).flatMap(([name, field]) =>
    /^(errorCode|partitionErrorCode)$/.test(name) && typeof field === 'number'
      ? [errorOf({ errorCode: field })]
      : errorsIn(field)
  )
}
