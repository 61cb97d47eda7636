/**
 * The live stream: `GET /api/live?of=<path>&of=<path>…`, server-sent events. Each `of` is a path with query that can be
 * asked for with GET as well (`/api/groups?sort=lagSeconds&limit=50`). The server answers with the views at once, and
 * again after each look at the cluster if they differ. A page has one stream for all of its views, and none while it is
 * hidden.
 */

/** `event: view`. */
export interface LiveView {
  /** The `of` it answers. */
  readonly of: string
  readonly takenAtMs: number
  readonly value: unknown
}

/** `event: problem`: a view that cannot be had now; the stream goes on. */
export interface LiveProblem {
  readonly of: string
  readonly code: string
  readonly message: string
}

/** `event: tick`, after each look, changed or not: what freshness is told by. */
export interface LiveTick {
  readonly takenAtMs: number
  /** Time between looks, in milliseconds. */
  readonly intervalMs: number
  /** Why the last look failed; `null` = it did not. */
  readonly problem: string | null
}
