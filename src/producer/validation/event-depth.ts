/** How deep an event is nested: looked at without recursion, so that no event can exhaust the stack. */

/** Whether objects and lists lie more than `depthMax` levels within one another; the event itself is the first. */
export function isDeeperThan(event: unknown, depthMax: number): boolean {
  let level: unknown[] = [event]
  for (let depth = 0; level.length > 0; depth += 1) {
    const next: unknown[] = []
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue
      if (depth >= depthMax) return true
      for (const inner of Array.isArray(value) ? value : Object.values(value)) {
        if (typeof inner === 'object' && inner !== null) next.push(inner)
      }
    }
    level = next
  }
  return false
}
