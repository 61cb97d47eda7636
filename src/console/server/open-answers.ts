/** Answers that are on their way, by login: streams and downloads end with the login that asked for them. */

import type { ServerResponse } from 'node:http'

/** See the module. */
export class OpenAnswers {
  readonly #bySession = new Map<string, Set<ServerResponse>>()

  /** Takes note of an answer until it has ended. */
  add(sessionId: string, answer: ServerResponse): void {
    const open = this.#bySession.get(sessionId) ?? new Set()
    this.#bySession.set(sessionId, open.add(answer))
    answer.once('close', () => {
      open.delete(answer)
      if (open.size === 0) this.#bySession.delete(sessionId)
    })
  }

  /** Whether a page of the login still waits for something. */
  has(sessionId: string): boolean {
    return this.#bySession.has(sessionId)
  }

  /** Cuts off what has begun; what has not is the answer to the logout itself, or is refused by its own check. */
  end(sessionId: string): void {
    for (const answer of this.#bySession.get(sessionId) ?? []) if (answer.headersSent) answer.destroy()
  }
}
