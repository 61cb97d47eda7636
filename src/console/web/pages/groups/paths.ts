/** Addresses of pages that these pages lead to: pure. */

/** Address of a group's page. */
export function groupPath(groupId: string): string {
  return `/groups/${encodeURIComponent(groupId)}`
}

/** Address of a topic's page. */
export function topicPath(topic: string): string {
  return `/topics/${encodeURIComponent(topic)}`
}

/** Records of a topic; of a partition, from an offset on, if they are given. */
export function recordsPath(topic: string, partition?: number, offset?: string | null): string {
  const query = new URLSearchParams({ topic })
  if (partition !== undefined) query.set('partition', String(partition))
  if (offset !== undefined && offset !== null) {
    query.set('from', 'offset')
    query.set('fromOffset', offset)
  }
  return `/records?${query}`
}
