/** What the browser remembers between visits. Where it may remember nothing, a choice lasts for this visit only. */

/** A remembered choice; `undefined` = none. */
export function remembered(key: string): string | undefined {
  try {
    return localStorage.getItem(`comporta.${key}`) ?? undefined
  } catch {
    return undefined
  }
}

/** Remembers a choice. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`comporta.${key}`, value)
  } catch {
    // Private windows may refuse: nothing else depends on it.
  }
}
