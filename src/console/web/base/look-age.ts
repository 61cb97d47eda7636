/** Whether the last look is later than it should be: pure. */

/** A look is late after three of its intervals and five seconds more: one that is slow is not yet one that fails. */
export function isLookLate(look: { readonly takenAtMs: number; readonly intervalMs: number }, nowMs: number): boolean {
  return nowMs - look.takenAtMs > 3 * look.intervalMs + 5_000
}
