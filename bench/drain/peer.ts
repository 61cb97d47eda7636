/** What the peers in JavaScript share: payload, the client that posts it, and that offsets are committed by time. */

import { Pool } from 'undici'

/** Records of a request. */
export const BATCH_RECORDS = 500
/** Offsets are committed this often, never by batch: that costs the peers a multiple. */
export const COMMIT_INTERVAL_MS = 1000
/** A batch that is not full is sent after this time. */
export const BATCH_AGE_MS = 100

/** A record as both libraries give it. */
export interface PeerRecord {
  readonly key: Buffer | null | undefined
  readonly value: Buffer | null | undefined
  readonly offset: string | bigint
  readonly timestamp: string | bigint
}

/** How values get into the payload: `parse` decodes and encodes each, `concat` joins them unchecked. */
export type PayloadWay = 'parse' | 'concat'

/** One batch as JSON, with the columns that the dispatcher sends. */
export function encodeBatch(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  records: readonly PeerRecord[],
  way: string
): string {
  const texts = records.map(({ value }) => value?.toString() ?? 'null')
  const columns = {
    offsets: records.map(({ offset }) => Number(offset)),
    timestamps: records.map(({ timestamp }) => Number(timestamp)),
    keys: records.map(({ key }) => key?.toString() ?? null)
  }
  if (way === 'parse') {
    const messages = texts.map(text => JSON.parse(text) as unknown)
    return JSON.stringify({ topic, partition, messages, ...columns })
  }
  const head = `{"topic":"${topic}","partition":${partition},"messages":[${texts.join(',')}],`
  return head + JSON.stringify(columns).slice(1)
}

/** Posts batches over kept-alive connections. */
export class Poster {
  readonly #pool: Pool

  constructor(url: string, connections: number) {
    this.#pool = new Pool(new URL(url).origin, { connections, pipelining: 1 })
  }

  /** @throws Error for every answer but 200. */
  async post(text: string, recordCount: number): Promise<void> {
    const { statusCode, body } = await this.#pool.request({
      method: 'POST',
      path: '/',
      headers: { 'content-type': 'application/json', 'comporta-record-count': String(recordCount) },
      body: text
    })
    await body.dump()
    if (statusCode !== 200) throw new Error(`the sink answered ${statusCode}`)
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }
}
