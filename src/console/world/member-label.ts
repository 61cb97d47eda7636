/** What a member of a group is called: short, and the same in lists, maps and timelines. Pure. */

import type { GroupMemberDescription } from '../../client/index.ts'

/** Letters of the member id that are shown. */
const SUFFIX_LENGTH = 6

/**
 * `orders-1@10.0.0.4` of a static member, `orders-3f9a2c@10.0.0.4` of another: several of one machine have the same
 * client id, and one that comes back is another member.
 */
export function memberLabel({ memberId, groupInstanceId, clientId, clientHost }: GroupMemberDescription): string {
  const host = clientHost.replace(/^\//, '')
  const isStatic = groupInstanceId !== null && groupInstanceId !== ''
  const name = isStatic ? groupInstanceId : `${clientId}-${memberId.slice(-SUFFIX_LENGTH)}`
  return host === '' ? name : `${name}@${host}`
}
