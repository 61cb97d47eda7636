/** Two topics instead of one: for what makes up much of it, and for the rest. */

/** Where the events of a split topic go. */
export interface SplitTopics {
  readonly heavy: string
  readonly light: string
  /** Texts that go to the heavy topic. Grows when a detector moves values. */
  readonly heavyValues: Set<string>
}

/** The topic for a text; `undefined` = the field is absent, or there is no key: light. */
export function halfFor(split: SplitTopics, text: string | undefined): string {
  return text !== undefined && split.heavyValues.has(text) ? split.heavy : split.light
}
