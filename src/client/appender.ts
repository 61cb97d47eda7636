/** Raw append. */

import type { AppenderOptions, AppendRecord, DeliveryListener } from './appender-types.ts'

/** Collects records into batches and appends them to the leaders. */
export class Appender {
  constructor(_options: AppenderOptions) {}
  /**
   * Takes a record.
   *
   * @returns `false` if the buffer is full: await `room()`, then try again.
   * @throws PipelineError `ERR_CLIENT_CLOSED`.
   */
  append(_record: AppendRecord, _listener: DeliveryListener): boolean {
    return false
  }
  /** Resolves when there is room again (or the appender is closed). */
  room(): Promise<void> {
    return Promise.resolve()
  }
  /** Sends everything taken so far without waiting for full batches; resolves when all has its verdict. */
  flush(): Promise<void> {
    return Promise.resolve()
  }
  /** Flushes for at most `deadlineMs` milliseconds (default `deliveryTimeoutMs`), fails the rest, then ends. Idempotent. */
  close(_deadlineMs?: number): Promise<void> {
    return Promise.resolve()
  }
}
