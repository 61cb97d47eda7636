/** What the settings of the dispatcher's flow allow on their own, but not together with the others. */

import type { Report } from './common.ts'
import type { DispatcherConfig } from './dispatcher.ts'

/** Reports limits of the flow and classes of topics that do not go together. */
export function checkFlow(dispatcher: DispatcherConfig, report: Report): void {
  const { adaptiveConcurrency, batch, breaker, concurrency } = dispatcher
  if (batch.adaptive !== undefined && batch.adaptive.recordsMin > batch.recordsMax) {
    report(['dispatcher', 'batch', 'adaptive', 'recordsMin'], `must be at most batch.recordsMax (${batch.recordsMax})`)
  }
  if (adaptiveConcurrency.min > concurrency) {
    report(['dispatcher', 'adaptiveConcurrency', 'min'], `must be at most concurrency (${concurrency})`)
  }
  if (breaker.openMaxMs !== undefined && breaker.openMaxMs < breaker.openMs) {
    report(['dispatcher', 'breaker', 'openMaxMs'], `must be at least openMs (${breaker.openMs})`)
  }
  checkPriorities(dispatcher, report)
}

function checkPriorities({ priorities, topics }: DispatcherConfig, report: Report): void {
  if (priorities.length === 0) return
  const names = new Set<string>()
  const classOf = new Map<string, string>()
  for (const [index, { name, topics: own }] of priorities.entries()) {
    if (names.has(name)) report(['dispatcher', 'priorities', index, 'name'], `${name} is the name of two classes`)
    names.add(name)
    for (const [place, topic] of own.entries()) {
      const path = ['dispatcher', 'priorities', index, 'topics', place]
      const other = classOf.get(topic)
      if (other !== undefined) report(path, `${topic} is in class ${other} already`)
      else if (!topics.includes(topic)) report(path, `${topic} is not one of dispatcher.topics`)
      classOf.set(topic, name)
    }
  }
  const left = topics.filter(topic => !classOf.has(topic))
  if (left.length > 0) report(['dispatcher', 'priorities'], `no class has ${left.join(', ')}`)
}
