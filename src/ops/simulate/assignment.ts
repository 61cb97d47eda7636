/** Which instance gets which partition. Pure, the same for the same members. */

/**
 * Even contiguous ranges: what an eager group does, whatever was before.
 *
 * @returns Owner of each partition; -1 where there is no member.
 */
export function rangeAssignment(members: readonly number[], partitionCount: number): Int32Array {
  const owners = new Int32Array(partitionCount).fill(-1)
  const each = Math.floor(partitionCount / members.length)
  const more = partitionCount % members.length
  let partition = 0
  members.forEach((member, index) => {
    const count = each + (index < more ? 1 : 0)
    owners.fill(member, partition, partition + count)
    partition += count
  })
  return owners
}

/** As even, and with as few moves as that takes: what a cooperative group does. */
export function stickyAssignment(members: readonly number[], before: Int32Array, partitionCount: number): Int32Array {
  const owners = new Int32Array(partitionCount).fill(-1)
  if (members.length === 0) return owners
  const each = Math.floor(partitionCount / members.length)
  let more = partitionCount % members.length
  const counts = new Map(members.map(member => [member, 0]))
  for (let partition = 0; partition < partitionCount; partition++) {
    const owner = before[partition] ?? -1
    const count = counts.get(owner)
    if (count === undefined || count > each || (count === each && more === 0)) continue
    if (count === each) more--
    counts.set(owner, count + 1)
    owners[partition] = owner
  }
  for (let partition = 0; partition < partitionCount; partition++) {
    if (owners[partition] !== -1) continue
    let least = members[0] ?? -1
    for (const member of members) if ((counts.get(member) ?? 0) < (counts.get(least) ?? 0)) least = member
    owners[partition] = least
    counts.set(least, (counts.get(least) ?? 0) + 1)
  }
  return owners
}
