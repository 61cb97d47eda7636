/** What is chosen on the page of a topic, as its address has it: pure. */

const sorts = ['partition', 'rate', 'endOffset', 'leaderId'] as const

/** Where nothing is chosen. */
export const topicDefaults = { tab: 'partitions', sort: 'partition', descending: 'false' }

/** What is chosen. */
export type TopicQuery = typeof topicDefaults

/** Changes what is chosen. */
export type SetTopicQuery = (change: Partial<TopicQuery>) => void

/** What the server is asked; an address that somebody has edited asks for nothing that it does not know. */
export function detailAddress(topic: string, query: TopicQuery): string {
  const sort = sorts.find(name => name === query.sort) ?? topicDefaults.sort
  const asked = new URLSearchParams({ name: topic, sort, descending: String(query.descending === 'true') })
  return `/api/topic?${asked}`
}
