/** Checks of brokers: release, disks, controller, certificates. */

import { perCent, seconds } from '../../slo/words.ts'
import { cannotSay, type DoctorCheck, type Found } from '../finding.ts'
import { compareReleases, releaseOf } from '../releases.ts'

/** Older than this: the Apache project mends the last three releases, Amazon MSK has ended or will soon end it. */
const MAINTAINED = '3.9'
/** Older than this even clients of today are about to leave it behind (KIP-896). */
const ANCIENT = '3.0'

const version: DoctorCheck = {
  id: 'broker-version',
  area: 'brokers',
  sentence: 'Brokers of a release that nobody mends any more, or of different releases.',
  find({ versions }) {
    if (!versions.isKnown) return [cannotSay('Releases of the brokers are not known', versions.reason)]
    const brokers = versions.value.map(each => ({ ...each, ...releaseOf(each) }))
    const evidence = brokers.map(
      ({ nodeId, release, isAtLeast }) => `broker ${nodeId}: Kafka ${release}${isAtLeast ? ' or newer' : ''}`
    )
    const oldest = brokers.reduce(
      (least, { release }) => (compareReleases(release, least) < 0 ? release : least),
      brokers[0]?.release ?? MAINTAINED
    )
    const found: Found[] = []
    if (compareReleases(oldest, MAINTAINED) < 0) {
      found.push({
        severity: compareReleases(oldest, ANCIENT) < 0 ? 'error' : 'warn',
        title: `Kafka ${oldest} gets no corrections any more`,
        reason:
          'The Apache project mends the last three releases. Amazon MSK upgrades ended ones by ' +
          'itself, at a time of its own.',
        fix:
          'Plan the upgrade: one minor release of the supported ones after the other, brokers one ' +
          'by one, metadata.version last.',
        evidence
      })
    }
    if (
      new Set(brokers.map(({ metadataVersionMax, fetchVersionMax }) => `${metadataVersionMax} ${fetchVersionMax}`))
        .size > 1
    ) {
      found.push({
        severity: 'warn',
        title: 'brokers are of different releases',
        reason: 'An upgrade is under way, or was left halfway: features that only some brokers have fail by chance.',
        fix: 'Finish the upgrade.',
        evidence
      })
    }
    return found
  }
}

const DISK_WARN = 0.85
const DISK_ERROR = 0.95

const disks: DoctorCheck = {
  id: 'disk-space',
  area: 'brokers',
  sentence: 'Disks of brokers that are more than 85 % full, or have failed.',
  find({ logDirs }) {
    if (!logDirs.isKnown) return [cannotSay('Disks of the brokers are not known', logDirs.reason)]
    const found: Found[] = []
    const failed = logDirs.value.filter(({ errorCode }) => errorCode !== 0)
    if (failed.length > 0) {
      found.push({
        severity: 'error',
        title: `${failed.length} log directories have failed`,
        reason: 'Their replicas are gone until the disk is replaced.',
        fix: 'Replace the disk and restart the broker.',
        evidence: failed.map(({ nodeId, logDir }) => `broker ${nodeId}: ${logDir}`)
      })
    }
    const full = logDirs.value
      .filter(({ totalBytes }) => totalBytes > 0n)
      .map(each => ({ ...each, used: 1 - Number(each.usableBytes) / Number(each.totalBytes) }))
      .filter(({ used }) => used >= DISK_WARN)
    if (full.length > 0) {
      found.push({
        severity: full.some(({ used }) => used >= DISK_ERROR) ? 'error' : 'warn',
        title: `${full.length} disks of brokers are almost full`,
        reason: 'A broker whose disk is full stops, and takes its replicas with it. AWS’s alarm for MSK is 85 %.',
        fix: 'Shorten retention of what is large, or add storage (MSK: storage autoscaling).',
        evidence: full.map(({ nodeId, logDir, used }) => `broker ${nodeId}, ${logDir}: ${perCent(used)} used`)
      })
    }
    return found
  }
}

const controller: DoctorCheck = {
  id: 'controller',
  area: 'brokers',
  sentence: 'A cluster that names no controller.',
  find({ metadata }) {
    if (metadata.controllerId >= 0) return []
    return [
      {
        severity: 'error',
        title: 'the cluster has no controller',
        reason: 'Topics cannot be created, leaders are not elected, brokers that fail are not noticed.',
        fix: 'Look at the controllers’ logs: a majority of them has to be up.'
      }
    ]
  }
}

const DAY_MS = 86_400_000
const CERTIFICATE_WARN_MS = 30 * DAY_MS
const CERTIFICATE_ERROR_MS = 7 * DAY_MS

const certificates: DoctorCheck = {
  id: 'certificates',
  area: 'brokers',
  sentence: 'Certificates, of this machine or of brokers, that end within 30 days.',
  find({ certificates: found, nowMs }) {
    if (!found.isKnown) return [cannotSay('Certificates are not known', found.reason)]
    const unseen = found.value
      .filter(({ notAfterMs }) => notAfterMs === undefined)
      .map(({ name, problem }) => `${name}: ${problem ?? 'it did not show one'}`)
    const unknown: Found[] =
      unseen.length === 0
        ? []
        : [{ ...cannotSay('Not all certificates could be looked at', unseen[0] ?? ''), evidence: unseen }]
    const ending = found.value
      .flatMap(({ name, notAfterMs }) => (notAfterMs === undefined ? [] : [{ name, notAfterMs }]))
      .filter(({ notAfterMs }) => notAfterMs - nowMs < CERTIFICATE_WARN_MS)
      .toSorted((left, right) => left.notAfterMs - right.notAfterMs)
    const [first] = ending
    if (first === undefined) return unknown
    const leftMs = first.notAfterMs - nowMs
    return [
      {
        severity: leftMs < CERTIFICATE_ERROR_MS ? 'error' : 'warn',
        title: leftMs <= 0 ? `a certificate has ended` : `a certificate ends in ${seconds(leftMs / 1000)}`,
        reason: 'From then on no new connection is made; those that stand end with their brokers’ next restart.',
        fix: 'Renew it where it lies: comporta takes a new one up without a restart.',
        evidence: ending.map(({ name, notAfterMs }) => `${name}: ends ${new Date(notAfterMs).toISOString()}`)
      },
      ...unknown
    ]
  }
}

/** All checks of brokers. */
export const brokerChecks: readonly DoctorCheck[] = [version, disks, controller, certificates]
