/** The topics of the broker as the group coordinator sees them. */

import type { ClusterTopics } from './groups/index.ts'
import type { LogManager, Topic } from './log/index.ts'

/** A view of the topics that counts their changes. */
export function clusterTopics(logs: LogManager): ClusterTopics {
  let version = 0
  logs.onTopicsChange(() => void (version += 1))
  const view = (topic: Topic | undefined): ReturnType<ClusterTopics['byName']> =>
    topic && { name: topic.name, id: topic.id, partitionCount: topic.logs.length }
  return {
    get version(): number {
      return version
    },
    byName: name => view(logs.topic(name)),
    byId: id => view(logs.topicById(id)),
    names: () => logs.topics.map(({ name }) => name)
  }
}
