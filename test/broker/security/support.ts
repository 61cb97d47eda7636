/** Certificates, secured brokers and clients of our own for tests of listeners and authentication. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { BoundListener, Broker } from '../../../src/broker/index.ts'
import { Cluster, type ClusterOptions } from '../../../src/client/index.ts'
import type { RecordingLogger } from '../support.ts'

/** Folder of the certificates; `README.md` there says what they are. */
export const TLS_DIR = join(import.meta.dirname, '../../fixtures/broker/tls')

/** Text of a file in the folder of certificates. */
export function pem(name: string): string {
  return readFileSync(join(TLS_DIR, `${name}.pem`), 'utf8')
}

/** What a client needs to trust the broker. */
export const CA: string = pem('ca')

/** The broker's own certificate. */
export const SERVER_TLS = { cert: pem('broker'), key: pem('broker-key') }

/** A listener by name. */
export function listenerOf(broker: Broker, name: string): BoundListener {
  const found = broker.listeners.find(listener => listener.name === name)
  if (found === undefined) throw new Error(`no listener ${name}`)
  return found
}

/** A client that ends with the test; it gives up soon. */
export async function connectClient(
  t: TestContext,
  bootstrapServers: string,
  options: Omit<ClusterOptions, 'bootstrapServers'> = {}
): Promise<Cluster> {
  const cluster = await Cluster.connect({
    bootstrapServers: [bootstrapServers],
    connectTimeoutMs: 3000,
    bootstrapTimeoutMs: 3000,
    ...options
  })
  t.after(() => cluster.close())
  return cluster
}

/** Principals that the broker says have authenticated, in order. */
export function principalsIn(logger: RecordingLogger): unknown[] {
  return logger.lines.filter(line => line.message === 'authenticated').map(line => line.fields['principal'])
}
