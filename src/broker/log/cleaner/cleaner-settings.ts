/** Settings of the cleaner, by Kafka's names. Source: Kafka `CleanerConfig`. */

/** How the cleaner works. */
export interface CleanerSettings {
  /** `log.cleaner.enable`. Default true. */
  readonly isEnabled: boolean
  /** `log.cleaner.backoff.ms`: wait when nothing needs cleaning. Default 15_000. */
  readonly backoffMs: number
  /** `log.cleaner.dedupe.buffer.size`: most memory for the keys of one cleaning. Default 134_217_728. */
  readonly keyBytesMax: number
  /** `log.cleaner.io.buffer.load.factor`: how full it gets. Default 0.9. */
  readonly keyLoadFactor: number
  /** `log.cleaner.io.buffer.size`: bytes of one read. Default 524_288. */
  readonly chunkBytes: number
  /** `log.cleaner.io.max.bytes.per.second`: reads and writes together. Default: no limit. */
  readonly bytesPerSecondMax: number
}

/** Larger reads would only make the pauses of everybody else longer. */
const CHUNK_BYTES_MAX = 524_288
const KEY_BYTES_MIN = 1_048_576

/** Reads the settings from those of the broker; a value that is no number counts as not given. */
export function cleanerSettings(texts: Readonly<Record<string, string>>): CleanerSettings {
  const number = (name: string, fallback: number): number => {
    const value = Number(texts[name] ?? fallback)
    return Number.isNaN(value) ? fallback : value
  }
  const loadFactor = number('log.cleaner.io.buffer.load.factor', 0.9)
  return {
    isEnabled: (texts['log.cleaner.enable'] ?? 'true').trim().toLowerCase() !== 'false',
    backoffMs: Math.max(1, number('log.cleaner.backoff.ms', 15_000)),
    keyBytesMax: Math.max(KEY_BYTES_MIN, number('log.cleaner.dedupe.buffer.size', 134_217_728)),
    keyLoadFactor: loadFactor > 0 && loadFactor < 1 ? loadFactor : 0.9,
    chunkBytes: Math.min(CHUNK_BYTES_MAX, Math.max(4096, number('log.cleaner.io.buffer.size', 524_288))),
    bytesPerSecondMax: number('log.cleaner.io.max.bytes.per.second', Number.POSITIVE_INFINITY)
  }
}
