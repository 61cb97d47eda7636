/** The log cleaner: compaction of topics with the cleanup policy `compact`. */

export { type CleanableLog } from './cleanable-log.ts'
export { cleanerSettings } from './cleaner-settings.ts'
export { type CleanerStatus, LogCleaner } from './log-cleaner.ts'
