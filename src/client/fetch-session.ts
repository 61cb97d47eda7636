/**
 * Incremental fetch sessions (KIP-227): the broker remembers what a client
 * reads, and a request names only what has changed. Pure: no I/O, no clock.
 *
 * One session per broker. A request that failed leaves it unknown what the
 * broker remembers, so the next one closes the session and opens another,
 * naming everything. A broker without a free place answers session id 0: then
 * every request names everything.
 */

/** A partition and from where to read it. */
export interface SessionPartition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly offset: bigint
  readonly leaderEpoch: number
}

/** What a request has to say. */
export interface SessionRequest {
  readonly sessionId: number
  readonly sessionEpoch: number
  /** New and changed partitions; all of them in a full request. */
  readonly changed: readonly SessionPartition[]
  /** Partitions that the broker is to forget. */
  readonly forgotten: readonly SessionPartition[]
}

const epochMax = 0x7fffffff

/** What one broker remembers of this client. */
export class FetchSession {
  #sessionId = 0
  #epoch = 0
  #known = new Map<string, SessionPartition>()
  #isByTopicId: boolean | undefined

  /** Whether the next request names everything. */
  get isFull(): boolean {
    return this.#epoch === 0
  }

  /**
   * The next request.
   *
   * @param wanted - All partitions to read now, in the order to read them.
   * @param isByTopicId - Whether the request names topics by id. A session keeps to one way.
   */
  next(wanted: readonly SessionPartition[], isByTopicId: boolean): SessionRequest {
    if (this.#isByTopicId !== isByTopicId) this.restart()
    this.#isByTopicId = isByTopicId
    const sessionId = this.#sessionId
    const sessionEpoch = this.#epoch
    const isFull = this.isFull
    if (isFull) this.#known = new Map()
    const previous = this.#known
    const changed = wanted.filter(partition => isFull || !isSame(previous.get(keyOf(partition)), partition))
    const current = new Map(wanted.map(partition => [keyOf(partition), partition]))
    const forgotten = [...previous].filter(([key]) => !current.has(key)).map(([, partition]) => partition)
    this.#known = current
    return { sessionId, sessionEpoch, changed, forgotten }
  }

  /** Takes note of the session id in a successful answer. */
  succeed(sessionId: number): void {
    if (sessionId === 0) {
      this.#sessionId = 0
      this.#epoch = 0
      return
    }
    this.#epoch = this.#sessionId === sessionId && this.#epoch > 0 ? nextEpoch(this.#epoch) : 1
    this.#sessionId = sessionId
  }

  /** After a failure: the next request closes the session, if there is one, and begins another. */
  restart(): void {
    this.#epoch = 0
    this.#known = new Map()
  }

  /** After the broker said that it does not know the session: nothing is left to close. */
  forget(): void {
    this.restart()
    this.#sessionId = 0
  }
}

function nextEpoch(epoch: number): number {
  return epoch >= epochMax ? 1 : epoch + 1
}

/** A topic that was deleted and created again has another id: to the broker it is another partition. */
function keyOf(partition: SessionPartition): string {
  return `${partition.topic}/${partition.topicId}/${partition.partition}`
}

function isSame(left: SessionPartition | undefined, right: SessionPartition): boolean {
  return left !== undefined && left.offset === right.offset && left.leaderEpoch === right.leaderEpoch
}
