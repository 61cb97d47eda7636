/** What the code table says about one error code. */
export interface ErrorCodeEntry {
  /** One sentence: what happened. */
  readonly summary: string
  /** One sentence: what the reader should do next. */
  readonly remedy: string
  /** Whether the same call may succeed later without a change. */
  readonly retriable: boolean
}
