/**
 * Values by topic, partition and offset. No text is built for a key: a look asks for a hundred thousand places, and
 * most of them are not there.
 */

/** A place in a log. */
export interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
}

/** See the module. */
export class OffsetMap<T> {
  readonly #topics = new Map<string, Map<number, Map<bigint, T>>>()

  get({ topic, partition, offset }: Place): T | undefined {
    return this.#topics.get(topic)?.get(partition)?.get(offset)
  }

  set({ topic, partition, offset }: Place, value: T): void {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      this.#topics.set(topic, partitions)
    }
    const offsets = partitions.get(partition)
    if (offsets === undefined) partitions.set(partition, new Map([[offset, value]]))
    else offsets.set(offset, value)
  }

  /** Forgets a topic. */
  delete(topic: string): void {
    this.#topics.delete(topic)
  }
}
