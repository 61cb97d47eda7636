/** What each setting of `dispatcher:` allows on its own, but not together with the others. */

import type { Report } from './common.ts'
import type { DispatcherConfig, TargetConfig } from './dispatcher.ts'
import { checkFlow } from './dispatcher-flow-rules.ts'
import { checkTopicTarget } from './dispatcher-topic-rules.ts'
import type { LambdaConfig } from './lambda.ts'

/** Reports settings of the dispatcher that do not go together. */
export function checkDispatcher(dispatcher: DispatcherConfig, lambda: LambdaConfig | undefined, report: Report): void {
  if (dispatcher.topics.includes(dispatcher.deadLetterTopic)) {
    report(
      ['dispatcher', 'deadLetterTopic'],
      'is also one of dispatcher.topics: a dead letter would come back for ever'
    )
  }
  if (dispatcher.heartbeatIntervalMs * 3 > dispatcher.sessionTimeoutMs) {
    report(['dispatcher', 'heartbeatIntervalMs'], 'must be at most a third of sessionTimeoutMs')
  }
  const { delays } = dispatcher.retry
  if (delays.some((delayMs, tier) => tier > 0 && delayMs <= (delays[tier - 1] ?? 0))) {
    report(['dispatcher', 'retry', 'delays'], 'must ascend: each tier waits longer than the one before it')
  }
  if (delays.length > 0 && dispatcher.order === 'partition' && dispatcher.retry.order === 'key') {
    // What waits in a retry topic is overtaken by the rest of its partition.
    const choices = 'choose order: key (or retry.order: none, which keeps no order at all)'
    report(['dispatcher', 'retry', 'delays'], `keep the order of keys, not that of the partition: ${choices}`)
  }
  if (delays.length > 0 && dispatcher.target.type === 'topic' && dispatcher.target.exactlyOnce) {
    report(['dispatcher', 'retry', 'delays'], 'do not go with target.exactlyOnce: its transactions have no retries')
  }
  checkFlow(dispatcher, report)
  checkTarget(dispatcher.target, ['dispatcher', 'target'], { dispatcher, lambda, report })
  for (const [index, { target }] of dispatcher.priorities.entries()) {
    if (target !== undefined) {
      checkTarget(target, ['dispatcher', 'priorities', index, 'target'], { dispatcher, lambda, report })
    }
  }
}

function checkTarget(
  target: TargetConfig,
  path: readonly PropertyKey[],
  around: {
    readonly dispatcher: DispatcherConfig
    readonly lambda: LambdaConfig | undefined
    readonly report: Report
  }
): void {
  const { dispatcher, lambda, report } = around
  if (target.type === 'topic') checkTopicTarget(target, path, around)
  if (target.type === 'lambda' && dispatcher.batch.bytesMax > 6_291_456) {
    report(['dispatcher', 'batch', 'bytesMax'], 'AWS Lambda takes at most 6291456 bytes in one invocation')
  }
  if (target.type === 'lambda' && target.endpoint === undefined && lambda !== undefined) {
    // In AWS there may be others than the file describes.
    if (lambda.runtime === 'embedded' && !Object.hasOwn(lambda.functions, target.functionName)) {
      const names = Object.keys(lambda.functions).join(', ')
      report([...path, 'functionName'], `is not one of lambda.functions (${names})`)
    }
    const functionMs = lambda.functions[target.functionName]?.timeoutMs ?? 0
    if (target.timeoutMs <= functionMs) {
      // The batch would be sent again while the function still works on it: twice, and out of order.
      report(
        [...path, 'timeoutMs'],
        `must be more than the ${functionMs} ms that the function ${target.functionName} may take`
      )
    }
  }
}
