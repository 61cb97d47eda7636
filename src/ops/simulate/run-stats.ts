/** What a run counts: invocations, delays, losses. Delays go into a histogram of logarithmic cells of 1 %. */

const CELLS_PER_E = 100
const LEAST_S = 1e-4
const CELLS = 3200

/** Sums of a run. */
export class RunStats {
  consumed = 0
  invocations = 0
  failedInvocations = 0
  throttles = 0
  targetSeconds = 0
  batches = 0
  batchRecords = 0
  duplicates = 0
  lost = 0
  skipped = 0
  rebalances = 0
  rebalanceSeconds = 0
  outOfMemory = 0
  cancelledBatches = 0
  #delaySum = 0
  #delayCount = 0
  #delayMaxS = 0
  readonly #cells = new Float64Array(CELLS)

  /** Records that came and went; their delays lie evenly between two values. */
  addDelays(count: number, firstS: number, lastS: number): void {
    if (count <= 0) return
    this.#delaySum += (count * (firstS + lastS)) / 2
    this.#delayCount += count
    this.#delayMaxS = Math.max(this.#delayMaxS, firstS, lastS)
    const parts = count === 1 || firstS === lastS ? 1 : 4
    for (let part = 0; part < parts; part++) {
      const delayS = firstS + ((lastS - firstS) * (part + 0.5)) / parts
      const cell = delayS <= LEAST_S ? 0 : Math.min(CELLS - 1, Math.ceil(Math.log(delayS / LEAST_S) * CELLS_PER_E))
      this.#cells[cell] = (this.#cells[cell] ?? 0) + count / parts
    }
  }

  /** Sum of all delays, in record-seconds. */
  get delaySum(): number {
    return this.#delaySum
  }

  /** Mean delay, in seconds; 0 if nothing was done. */
  get delayMeanS(): number {
    return this.#delayCount === 0 ? 0 : this.#delaySum / this.#delayCount
  }

  /** Longest delay, in seconds. */
  get delayMaxS(): number {
    return this.#delayMaxS
  }

  /** The delay that a share of the records stays below, in seconds, to 1 %. */
  delayQuantileS(share: number): number {
    let left = share * this.#delayCount
    for (let cell = 0; cell < CELLS; cell++) {
      left -= this.#cells[cell] ?? 0
      if (left <= 0) return Math.min(this.#delayMaxS, LEAST_S * Math.exp(cell / CELLS_PER_E))
    }
    return this.#delayMaxS
  }
}
