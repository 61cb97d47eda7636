/**
 * What a rollout that changes assignors has to know.
 *
 * A classic group uses one assignor that every member knows. Members of the eager
 * kind give up everything at each rebalance, those of the cooperative kind do
 * not, and both at once would own a partition twice: so the change takes two
 * rollouts, the first with both in the list, the second with the new one alone.
 * Source: KIP-429, and AWS's advice for MSK clients.
 */

const COOPERATIVE: ReadonlySet<string> = new Set(['cooperative-sticky'])

/** What is there, and what is configured. */
export interface AssignorQuestion {
  /** Name of the assignor that the group uses now; empty = no members. */
  readonly inUse: string
  /** `dispatcher.assignors`, in order of preference. */
  readonly configured: readonly string[]
  /** `dispatcher.groupProtocol`. */
  readonly groupProtocol: 'auto' | 'consumer' | 'classic'
}

/** Warnings, each with what to do; empty = nothing to know. */
export function assignorWarnings({ inUse, configured, groupProtocol }: AssignorQuestion): string[] {
  // Those of the consumer protocol (KIP-848): the broker assigns, in small steps, whatever the members say.
  if (inUse === '' || inUse === 'uniform' || groupProtocol === 'consumer') return []
  const [preferred = ''] = configured
  if (!configured.includes(inUse)) {
    return [
      `the group uses ${inUse}, which dispatcher.assignors (${configured.join(', ')}) does not have: a new member ` +
        'could not join the old ones. ' +
        `Roll out twice: first with [${preferred}, ${inUse}], then with [${preferred}] alone`
    ]
  }
  if (COOPERATIVE.has(preferred) && !COOPERATIVE.has(inUse)) {
    const others = configured.filter(each => !COOPERATIVE.has(each))
    return [
      `the group uses ${inUse}; when every instance knows ${preferred} it changes to that. This is the first of two ` +
        `rollouts: take ${others.join(', ')} out of dispatcher.assignors and roll out again`
    ]
  }
  return []
}
