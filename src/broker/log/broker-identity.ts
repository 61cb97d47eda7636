/** `meta.properties`: who a data folder belongs to, in Kafka's format. */

import path from 'node:path'
import { PipelineError, type Random } from '../../core/index.ts'
import { formatProperties, parseProperties, readIfPresent, replaceFile } from './small-files.ts'
import { randomUuid } from './uuid.ts'

const META_FILE = 'meta.properties'
const META_VERSION = '1'

/** Identity of a broker. */
export interface BrokerIdentity {
  /** Kafka's base64url form. */
  readonly clusterId: string
  readonly nodeId: number
  readonly directoryId: string
}

/**
 * Reads the identity of a data folder, or gives it one.
 *
 * @throws PipelineError `ERR_BROKER_DATA_DIR_MISMATCH` if the folder belongs to another node or cannot be read as one.
 */
export async function loadIdentity(folder: string, nodeId: number, random: Random): Promise<BrokerIdentity> {
  const file = path.join(folder, META_FILE)
  const content = await readIfPresent(file)
  if (content === undefined) {
    const identity = { clusterId: randomUuid(random), nodeId, directoryId: randomUuid(random) }
    await replaceFile(file, formatProperties(toProperties(identity)))
    return identity
  }
  const properties = parseProperties(content.toString())
  const clusterId = properties.get('cluster.id')
  const version = properties.get('version')
  const storedNodeId = Number(properties.get('node.id'))
  if (version !== META_VERSION || clusterId === undefined) {
    throw mismatch(folder, `${META_FILE} has version ${version}, not ${META_VERSION}, or no cluster.id`)
  }
  if (storedNodeId !== nodeId)
    throw mismatch(folder, `it belongs to node ${storedNodeId}, this broker is node ${nodeId}`)
  const directoryId = properties.get('directory.id') ?? randomUuid(random)
  const identity = { clusterId, nodeId, directoryId }
  if (!properties.has('directory.id')) await replaceFile(file, formatProperties(toProperties(identity)))
  return identity
}

function toProperties(identity: BrokerIdentity): Record<string, string> {
  return {
    'cluster.id': identity.clusterId,
    'directory.id': identity.directoryId,
    'node.id': String(identity.nodeId),
    version: META_VERSION
  }
}

function mismatch(folder: string, reason: string): PipelineError {
  return new PipelineError('ERR_BROKER_DATA_DIR_MISMATCH', `the data folder ${folder} cannot be used: ${reason}`, {
    fields: { folder }
  })
}
