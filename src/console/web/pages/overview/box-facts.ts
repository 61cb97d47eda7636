/** Which facts of a box are written in it: pure. All of them are in its title, and on its page. */

import type { Fact, NodeKind } from '../../../api/overview.ts'

/** Facts in a box at most: one line each. */
export const BOX_FACTS_MAX = 2

/** What matters most of each kind; what its arrows say is left to them. */
const preferred: Readonly<Record<NodeKind, readonly string[]>> = {
  source: ['address', 'rate'],
  producer: ['instances', 'rate'],
  topic: ['partitions', 'records', 'readers'],
  group: ['lagSeconds', 'members', 'lagRecords'],
  target: ['inFlight', 'concurrency', 'address'],
  retries: ['records', 'delaySeconds'],
  deadLetters: ['records', 'rate']
}

/** The facts that are written: those that are known, the preferred first. */
export function boxFacts(kind: NodeKind, facts: readonly Fact[]): readonly Fact[] {
  const order = preferred[kind]
  const rank = ({ key }: Fact): number => (order.includes(key) ? order.indexOf(key) : order.length)
  return facts
    .filter(({ value }) => value !== null)
    .toSorted((a, b) => rank(a) - rank(b))
    .slice(0, BOX_FACTS_MAX)
}
