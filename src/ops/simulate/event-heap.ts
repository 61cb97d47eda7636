/** A queue of events by time: a binary heap. Events of the same time come in the order in which they were put in. */

interface Entry<T> {
  readonly atS: number
  readonly order: number
  readonly value: T
}

/** Events by time. */
export class EventHeap<T> {
  readonly #entries: Entry<T>[] = []
  #order = 0

  /** Time of the first event; `Infinity` if there is none. */
  get nextS(): number {
    return this.#entries[0]?.atS ?? Infinity
  }

  /** Puts an event in; one at `Infinity` never comes and is left out. */
  push(atS: number, value: T): void {
    if (atS === Infinity) return
    const entries = this.#entries
    const entry = { atS, order: this.#order++, value }
    let index = entries.length
    entries.push(entry)
    while (index > 0) {
      const parentIndex = (index - 1) >>> 1
      const parent = entries[parentIndex]
      if (parent === undefined || !isBefore(entry, parent)) break
      entries[index] = parent
      index = parentIndex
    }
    entries[index] = entry
  }

  /** Takes the first event out. */
  pop(): T | undefined {
    const entries = this.#entries
    const first = entries[0]
    const last = entries.pop()
    if (first === undefined || last === undefined) return undefined
    if (entries.length > 0) this.#sink(last)
    return first.value
  }

  #sink(entry: Entry<T>): void {
    const entries = this.#entries
    let index = 0
    for (;;) {
      let childIndex = 2 * index + 1
      let child = entries[childIndex]
      const right = entries[childIndex + 1]
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        child = right
        childIndex++
      }
      if (child === undefined || !isBefore(child, entry)) break
      entries[index] = child
      index = childIndex
    }
    entries[index] = entry
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.atS < b.atS || (a.atS === b.atS && a.order < b.order)
}
