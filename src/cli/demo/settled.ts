/** Is everything that was produced also committed? Asked of Kafka itself, not of the processes. */

import { Admin, type Cluster } from '../../client/index.ts'

/** Records of the topics that the group has not committed yet. */
export async function uncommittedCount(cluster: Cluster, groupId: string, topics: readonly string[]): Promise<number> {
  const admin = new Admin(cluster)
  const metadata = await admin.describeTopics(topics)
  const partitions = metadata.topics.flatMap(each =>
    each.partitions.map(({ partition }) => ({ topic: each.topic, partition }))
  )
  const [ends, committed] = await Promise.all([
    admin.listOffsets(partitions.map(each => ({ ...each, at: 'latest' }))),
    admin.fetchGroupOffsets(groupId, partitions)
  ])
  const offsets = new Map(committed.map(each => [`${each.topic}/${each.partition}`, each.offset]))
  return ends.reduce((sum, end) => {
    const next = offsets.get(`${end.topic}/${end.partition}`) ?? 0n
    return sum + Number(end.offset - (next < 0n ? 0n : next))
  }, 0)
}
