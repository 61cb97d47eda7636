/**
 * Producer ids for idempotent producers: each given once in the life of the
 * data directory.
 *
 * As in Kafka, ids are taken in blocks: the end of the block is durable before
 * the first id of it is given, so a crash skips ids but never repeats one.
 *
 *   file `producer-ids` => next id that was never given, decimal, LF
 */

import path from 'node:path'
import { PipelineError } from '../core/index.ts'
import { readIfPresent, replaceFile } from './log/small-files.ts'

/** Ids per block. Source: Kafka `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`. */
const BLOCK_SIZE = 1000n
const FILE = 'producer-ids'

/** Gives producer ids. */
export class ProducerIds {
  readonly #file: string
  #nextId: bigint
  #blockEnd: bigint
  #claim: Promise<void> | undefined

  private constructor(file: string, nextId: bigint) {
    this.#file = file
    this.#nextId = nextId
    this.#blockEnd = nextId
  }

  /**
   * Opens the file in a data directory.
   *
   * @throws PipelineError `ERR_BROKER_DATA_DAMAGED` if the file holds no number: going on could repeat an id.
   */
  static async open(dataDir: string): Promise<ProducerIds> {
    const file = path.join(dataDir, FILE)
    const text = (await readIfPresent(file))?.toString().trim() ?? '0'
    if (!/^\d{1,18}$/.test(text)) {
      throw new PipelineError('ERR_BROKER_DATA_DAMAGED', `${file} must hold one number`, { fields: { file } })
    }
    return new ProducerIds(file, BigInt(text))
  }

  /** The next id. */
  async next(): Promise<bigint> {
    while (this.#nextId >= this.#blockEnd) {
      this.#claim ??= this.#claimBlock().finally(() => {
        this.#claim = undefined
      })
      await this.#claim
    }
    const id = this.#nextId
    this.#nextId += 1n
    return id
  }

  async #claimBlock(): Promise<void> {
    const end = this.#blockEnd + BLOCK_SIZE
    await replaceFile(this.#file, `${end}\n`)
    this.#blockEnd = end
  }
}
