/**
 * Which release of Apache Kafka a broker is, from what it says of itself when a client connects.
 *
 * From KRaft on a broker names the highest `metadata.version` that it knows; before, the highest version of Fetch tells
 * the release within a few. Source: Kafka `MetadataVersion`, `FetchRequest.json`.
 */

import type { BrokerVersion } from './facts.ts'

/** First level of `metadata.version` of each release, newest first. */
const LEVELS: readonly (readonly [number, string])[] = [
  [28, '4.2'],
  [26, '4.1'],
  [22, '4.0'],
  [21, '3.9'],
  [20, '3.8'],
  [15, '3.7'],
  [12, '3.6'],
  [9, '3.5'],
  [8, '3.4'],
  [1, '3.3']
]

/** First release with each version of Fetch, newest first. */
const FETCH: readonly (readonly [number, string])[] = [
  [17, '3.9'],
  [16, '3.7'],
  [15, '3.5'],
  [13, '3.1'],
  [12, '2.7'],
  [11, '2.3'],
  [10, '2.1'],
  [8, '2.0'],
  [0, '1.0']
]

/** The newest release that is known here. */
export const NEWEST_RELEASE = '4.2'

/** A release, as far as it can be told. */
export interface Release {
  /** `3.9`. */
  readonly release: string
  /** Whether it may be one of the next few: told by Fetch alone. */
  readonly isAtLeast: boolean
}

/** The release of a broker. */
export function releaseOf({ metadataVersionMax, fetchVersionMax }: BrokerVersion): Release {
  if (metadataVersionMax !== undefined && metadataVersionMax > 0) {
    const found = LEVELS.find(([level]) => metadataVersionMax >= level)
    if (found !== undefined) return { release: found[1], isAtLeast: found[1] === NEWEST_RELEASE }
  }
  return { release: FETCH.find(([version]) => fetchVersionMax >= version)?.[1] ?? '1.0', isAtLeast: true }
}

/** Compares releases: negative if the first is older. */
export function compareReleases(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number)
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number)
  return leftMajor - rightMajor || leftMinor - rightMinor
}
