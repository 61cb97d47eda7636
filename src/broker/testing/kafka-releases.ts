/**
 * What older releases of Apache Kafka advertise, for a broker that poses as one.
 *
 * The table holds the highest version of each API by the release that first had
 * it. Lowest versions are this broker's own: what Kafka 4 has dropped is not
 * served, whatever it poses as. An API without an entry here is not limited.
 *
 * Source: ApiVersions answers of Apache Kafka 2.0 to 4.3, as published by
 * kafka-python; KRaft-only APIs from KIP-836 and KIP-853.
 */

import { PipelineError } from '../../core/index.ts'

/** Releases a broker can pose as, oldest first. */
export const KAFKA_RELEASES = [
  '2.0',
  '2.1',
  '2.2',
  '2.3',
  '2.4',
  '2.5',
  '2.6',
  '2.7',
  '2.8',
  '3.0',
  '3.1',
  '3.2',
  '3.3',
  '3.4',
  '3.5',
  '3.6',
  '3.7',
  '3.8',
  '3.9',
  '4.0',
  '4.1',
  '4.2',
  '4.3'
] as const

/** A release of Apache Kafka, without its patch number. */
export type KafkaRelease = (typeof KAFKA_RELEASES)[number]

/**
 * A release by its name.
 *
 * @throws PipelineError `ERR_BROKER_INVALID_SETTING` if it is none of `KAFKA_RELEASES`.
 */
export function parseKafkaRelease(text: string): KafkaRelease {
  const release = KAFKA_RELEASES.find(each => each === text)
  if (release !== undefined) return release
  const message = `the broker cannot pose as Kafka "${text}": write one of ${KAFKA_RELEASES.join(', ')}`
  throw new PipelineError('ERR_BROKER_INVALID_SETTING', message)
}

/** Highest version by API key and the release that brought it. */
const HIGHEST_VERSIONS: Readonly<Record<number, Partial<Record<KafkaRelease, number>>>> = {
  0: { '2.0': 6, '2.1': 7, '2.4': 8, '2.8': 9, '3.7': 10, '3.8': 11, '4.0': 12, '4.1': 13 },
  1: { '2.0': 8, '2.1': 10, '2.3': 11, '2.7': 12, '3.1': 13, '3.5': 15, '3.7': 16, '3.9': 17, '4.1': 18 },
  2: { '2.0': 3, '2.1': 4, '2.2': 5, '2.8': 6, '3.0': 7, '3.5': 8, '3.9': 9, '4.0': 10, '4.2': 11 },
  3: { '2.0': 6, '2.1': 7, '2.3': 8, '2.4': 9, '2.8': 11, '3.1': 12, '4.0': 13 },
  8: { '2.0': 4, '2.1': 6, '2.3': 7, '2.4': 8, '3.7': 9, '4.2': 10 },
  9: { '2.0': 4, '2.1': 5, '2.4': 6, '2.5': 7, '3.0': 8, '3.7': 9, '4.2': 10 },
  10: { '2.0': 2, '2.4': 3, '3.0': 4, '3.8': 5, '3.9': 6 },
  11: { '2.0': 3, '2.2': 4, '2.3': 5, '2.4': 6, '2.5': 7, '3.2': 9 },
  12: { '2.0': 2, '2.3': 3, '2.4': 4 },
  13: { '2.0': 2, '2.4': 4, '3.2': 5 },
  14: { '2.0': 2, '2.3': 3, '2.4': 4, '2.5': 5 },
  15: { '2.0': 2, '2.3': 3, '2.4': 5, '4.0': 6 },
  16: { '2.0': 2, '2.4': 3, '2.6': 4, '3.8': 5 },
  17: { '2.0': 1 },
  18: { '2.0': 2, '2.4': 3, '3.9': 4 },
  19: { '2.0': 3, '2.4': 5, '2.7': 6, '2.8': 7 },
  20: { '2.0': 2, '2.1': 3, '2.4': 4, '2.7': 5, '2.8': 6 },
  21: { '2.0': 1, '2.6': 2 },
  22: { '2.0': 1, '2.4': 2, '2.5': 3, '2.7': 4, '3.8': 5 },
  23: { '2.0': 1, '2.1': 2, '2.3': 3, '2.8': 4 },
  24: { '2.0': 1, '2.7': 2, '2.8': 3, '3.6': 4, '3.8': 5 },
  25: { '2.0': 1, '2.7': 2, '2.8': 3, '3.8': 4 },
  26: { '2.0': 1, '2.7': 2, '2.8': 3, '3.8': 4, '4.0': 5 },
  27: { '2.0': 0, '2.8': 1, '4.2': 2 },
  28: { '2.0': 1, '2.1': 2, '2.5': 3, '3.8': 4, '4.0': 5 },
  29: { '2.0': 1, '2.5': 2, '3.3': 3 },
  30: { '2.0': 1, '2.5': 2, '3.3': 3 },
  31: { '2.0': 1, '2.5': 2, '3.3': 3 },
  32: { '2.0': 2, '2.6': 3, '2.8': 4 },
  33: { '2.0': 1, '2.8': 2 },
  34: { '2.0': 1, '2.8': 2 },
  35: { '2.0': 1, '2.6': 2, '3.2': 3, '3.3': 4, '4.3': 5 },
  36: { '2.0': 0, '2.2': 1, '2.5': 2 },
  37: { '2.0': 1, '2.5': 2, '2.7': 3 },
  42: { '2.0': 1, '2.4': 2 },
  43: { '2.2': 0, '2.4': 2 },
  44: { '2.3': 0, '2.4': 1 },
  45: { '2.4': 0, '4.1': 1 },
  46: { '2.4': 0 },
  47: { '2.4': 0 },
  48: { '2.6': 0, '2.8': 1 },
  49: { '2.6': 0, '2.8': 1 },
  50: { '2.7': 0 },
  51: { '2.7': 0 },
  55: { '3.3': 1, '3.9': 2 },
  57: { '2.7': 0, '3.3': 1, '4.0': 2 },
  60: { '2.8': 0, '3.7': 1, '4.0': 2 },
  61: { '2.8': 0 },
  65: { '3.0': 0 },
  66: { '3.0': 0, '3.8': 1, '4.1': 2 },
  68: { '4.0': 1 },
  69: { '4.0': 1 },
  74: { '4.0': 0, '4.1': 1 },
  75: { '4.0': 0 }
}

/** Levels of the features of a release; older ones than 3.3 have none. `metadata.version` is that of the release. */
const METADATA_LEVELS: Partial<Record<KafkaRelease, number>> = {
  '3.3': 7,
  '3.4': 8,
  '3.5': 11,
  '3.6': 14,
  '3.7': 19,
  '3.8': 20,
  '3.9': 21,
  '4.0': 25,
  '4.1': 27,
  '4.2': 29,
  '4.3': 30
}

/** The highest version of an API in a release: `undefined` if the release does not have it. */
export function highestVersionIn(release: KafkaRelease, apiKey: number): number | undefined {
  let highest: number | undefined
  const byRelease = HIGHEST_VERSIONS[apiKey] ?? {}
  for (const each of KAFKA_RELEASES) {
    highest = byRelease[each] ?? highest
    if (each === release) break
  }
  return highest
}

/** The feature levels that a new cluster of a release has. */
export function featuresIn(release: KafkaRelease): {
  readonly 'metadata.version'?: number
  readonly 'group.version'?: number
  readonly 'transaction.version'?: number
} {
  const metadata = METADATA_LEVELS[release]
  if (metadata === undefined) return {}
  const isFour = KAFKA_RELEASES.indexOf(release) >= KAFKA_RELEASES.indexOf('4.0')
  return { 'metadata.version': metadata, ...(isFour ? { 'group.version': 1, 'transaction.version': 2 } : {}) }
}
