/** When certificates end: those that the pipeline file names, and those that the brokers show. */

import { connect, type DetailedPeerCertificate } from 'node:tls'

import type { KafkaConfig } from '../../config/index.ts'
import { messageOf, systemClock } from '../../core/index.ts'
import type { CertificateFact, Known } from '../../ops/index.ts'
import { readParts } from '../certificates/open-tls.ts'
import { SourceReader } from '../certificates/source-reader.ts'
import { verifyTls } from '../certificates/verify-tls.ts'

const HANDSHAKE_MS = 5_000
/** Brokers that are looked at. */
const BROKERS_MAX = 20

/** All of them; without TLS there are none. */
export async function certificatesOf({ tls, bootstrapServers }: KafkaConfig): Promise<Known<CertificateFact[]>> {
  if (tls === undefined || tls === false) return { isKnown: true, value: [] }
  try {
    const own = typeof tls === 'object' ? await ownCertificates(tls) : []
    const shown = await Promise.all(bootstrapServers.slice(0, BROKERS_MAX).map(brokerCertificate))
    return { isKnown: true, value: [...own, ...shown.flat()] }
  } catch (error) {
    return { isKnown: false, reason: messageOf(error) }
  }
}

async function ownCertificates(tls: Exclude<KafkaConfig['tls'], boolean | undefined>): Promise<CertificateFact[]> {
  const verdict = verifyTls(await readParts(tls, new SourceReader(process.env).round()), systemClock.now())
  if (verdict.kind === 'refused') {
    return verdict.problems.map(({ path, reason }) => ({
      name: `kafka.${path.join('.')}`,
      notAfterMs: undefined,
      problem: reason
    }))
  }
  return verdict.expiries.map(({ material, subject, expiresAtMs }) => ({
    name: `kafka.tls.${material} (${subject.replaceAll('\n', ', ')})`,
    notAfterMs: expiresAtMs
  }))
}

/** Only the handshake's first half is of interest: nothing is trusted, and nothing is sent. */
async function brokerCertificate(address: string): Promise<CertificateFact[]> {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? []
  return await new Promise(resolve => {
    const socket = connect({ host, port: Number(port), servername: host, rejectUnauthorized: false })
    const end = (found: CertificateFact[]): void => {
      socket.destroy()
      resolve(found)
    }
    const unseen = (problem: string): void => end([{ name: `broker ${address}`, notAfterMs: undefined, problem }])
    socket.setTimeout(HANDSHAKE_MS, () => unseen(`no answer within ${HANDSHAKE_MS / 1000} s`))
    socket.once('error', error => unseen(messageOf(error)))
    socket.once('secureConnect', () => end(factOf(address, socket.getPeerCertificate(true))))
  })
}

function factOf(address: string, certificate: DetailedPeerCertificate): CertificateFact[] {
  const notAfterMs = Date.parse(certificate.valid_to)
  return [{ name: `broker ${address}`, notAfterMs: Number.isNaN(notAfterMs) ? undefined : notAfterMs }]
}
