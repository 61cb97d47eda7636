/**
 * The vote for an assignment strategy: every member votes for the first of its
 * strategies that all members support, most votes win, the earliest name that
 * reached that count wins a tie.
 *
 * Source: Kafka `ClassicGroup.selectProtocol`.
 */

import type { MemberProtocol } from './group-types.ts'

interface Voter {
  readonly protocols: readonly MemberProtocol[]
}

/** Names of the strategies that every member supports. Empty when there are no members. */
export function commonProtocols(members: Iterable<Voter>): Set<string> {
  let common: Set<string> | undefined
  for (const member of members) {
    const names = member.protocols.map(protocol => protocol.name)
    const before: Set<string> | undefined = common
    common = new Set(before === undefined ? names : names.filter(name => before.has(name)))
  }
  return common ?? new Set()
}

/** The strategy that wins the vote, or `undefined` when the members share none. */
export function electProtocol(members: Iterable<Voter>): string | undefined {
  const voters = [...members]
  const candidates = commonProtocols(voters)
  const votes = new Map<string, number>()
  for (const voter of voters) {
    const choice = voter.protocols.find(protocol => candidates.has(protocol.name))
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
  }
  let winner: string | undefined
  let winnerVotes = 0
  for (const [name, count] of votes) {
    if (count > winnerVotes) {
      winner = name
      winnerVotes = count
    }
  }
  return winner
}

/** Whether two lists offer the same strategies with the same bytes in the same order. */
export function areProtocolsEqual(left: readonly MemberProtocol[], right: readonly MemberProtocol[]): boolean {
  if (left.length !== right.length) return false
  return left.every((protocol, index) => {
    const other = right[index]
    return other !== undefined && other.name === protocol.name && other.metadata.equals(protocol.metadata)
  })
}
