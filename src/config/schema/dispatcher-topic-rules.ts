/** What the settings of a topic target allow on their own, but not together with the others. */

import type { Report } from './common.ts'
import type { DispatcherConfig } from './dispatcher.ts'
import type { TopicTargetConfig } from './dispatcher-topic.ts'

/** Reports settings of a topic target that do not go together. */
export function checkTopicTarget(
  target: TopicTargetConfig,
  path: readonly PropertyKey[],
  around: { readonly dispatcher: DispatcherConfig; readonly report: Report }
): void {
  const { dispatcher, report } = around
  const { topic, topicFrom, file, exactlyOnce } = target
  if (topic === undefined && topicFrom === undefined && file === undefined) {
    report([...path, 'topic'], 'is missing: without topicFrom or file nothing says where records go')
  }
  if (topicFrom !== undefined && topicFrom.header === undefined && topicFrom.field === undefined) {
    report([...path, 'topicFrom'], 'names neither a header nor a field')
  }
  if (topic !== undefined && dispatcher.topics.includes(topic)) {
    report([...path, 'topic'], 'is also one of dispatcher.topics: every record would come back for ever')
  }
  if (!exactlyOnce && target.transactionalIdPrefix !== undefined) {
    report([...path, 'transactionalIdPrefix'], 'has no effect without exactlyOnce')
  }
  if (exactlyOnce) checkExactlyOnce(path, dispatcher, report)
}

function checkExactlyOnce(path: readonly PropertyKey[], dispatcher: DispatcherConfig, report: Report): void {
  const refuse = (reason: string): void => report([...path, 'exactlyOnce'], reason)
  if (path.includes('priorities')) refuse('is possible for dispatcher.target only')
  if (dispatcher.order !== 'partition') {
    refuse('needs order "partition": a transaction commits all records of a partition up to an offset')
  }
  if (dispatcher.retry.delays.length > 0) {
    refuse('and retry.delays exclude each other: a record that waits in a retry topic is behind the committed offset')
  }
  if (dispatcher.transform !== undefined) {
    refuse('and dispatcher.transform exclude each other: let target.file do that work')
  }
  if (dispatcher.priorities.some(({ target }) => target !== undefined)) {
    refuse('excludes other targets under dispatcher.priorities')
  }
}
