/** The syslog source and sources that are modules of the user, as the pipeline file describes them. */

import { readFile } from 'node:fs/promises'

import type { SourceConfig } from '../../config/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import { moduleSource, type Source, type SyslogAddress, SyslogSource } from '../../producer/index.ts'
import type { Logger } from '../../telemetry/index.ts'

type OwnSourceConfig = Extract<SourceConfig, { type: 'syslog' | 'module' }>

/**
 * Makes a source.
 *
 * @throws PipelineError `ERR_PRODUCER_SOURCE_INVALID` if a module makes none,
 *   `ERR_CONFIG_INVALID` if a certificate cannot be read.
 */
export async function ownSource(source: OwnSourceConfig, { logger }: { readonly logger: Logger }): Promise<Source> {
  if (source.type === 'module') return await moduleSource({ ...source, logger })
  const { tls } = source
  if (tls === undefined) return new SyslogSource({ ...source, tls: undefined, logger })
  const [cert, key] = await Promise.all([readPem(tls.cert, 'cert'), readPem(tls.key, 'key')])
  const ca = tls.ca === undefined ? undefined : await readPem(tls.ca, 'ca')
  return new SyslogSource({ ...source, tls: { cert, key, ca }, logger })
}

async function readPem(path: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const message = `the syslog source cannot read tls.${setting}: ${messageOf(error)}`
    throw new PipelineError('ERR_CONFIG_INVALID', message, { cause: error })
  }
}

/** Where a syslog source listens, for people and programs: `tcp://127.0.0.1:5514 udp://127.0.0.1:5514`. */
export function syslogText({ host, tcpPort, udpPort }: SyslogAddress): string {
  const address = host.includes(':') ? `[${host}]` : host
  const tcp = tcpPort === undefined ? [] : [`tcp://${address}:${tcpPort}`]
  const udp = udpPort === undefined ? [] : [`udp://${address}:${udpPort}`]
  return [...tcp, ...udp].join(' ')
}
