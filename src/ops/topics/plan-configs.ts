/** Plans settings of a topic: what they are, and are to be. Its undo restores what was. */

import type { ConfigChange } from '../../client/index.ts'
import { PipelineError } from '../../core/index.ts'
import { kafkaErrorName } from '../../protocol/index.ts'
import type { Change, ChangeEffect, Json } from '../change/change.ts'
import { counted } from '../words/counted.ts'
import type { TopicsOpen } from './look-at-topics.ts'
import { damaged, memberOf } from './snapshot.ts'
import { topicProblem } from './topic-problem.ts'

/** Settings to be. `undefined`: the topic's own value is taken away, and the brokers' counts. */
export type WantedConfigs = Readonly<Record<string, string | undefined>>

interface Setting {
  readonly name: string
  /** The topic's own value before; `null`: it had none. */
  readonly before: string | null
  /** The one to be; `null`: none. */
  readonly after: string | null
}

const TOPIC_SOURCE = 1

/**
 * Plans new settings.
 *
 * @throws PipelineError `ERR_OPS_NOT_FOUND` if the topic does not exist, `ERR_OPS_REFUSED` if its settings cannot be
 *   read.
 */
export async function planTopicConfigs(open: TopicsOpen, topic: string, wanted: WantedConfigs): Promise<Change> {
  const { cluster } = open
  const current = await currentOf(open, topic)
  const settings: Setting[] = []
  const effects: ChangeEffect[] = []
  const blockers: string[] = []
  for (const [name, after = null] of Object.entries(wanted)) {
    const entry = current.get(name)
    if (entry === undefined) blockers.push(`topics have no setting ${name}`)
    else if (entry.isReadOnly) blockers.push(`${name} cannot be changed`)
    const isOwn = entry?.source === TOPIC_SOURCE
    const before = isOwn ? (entry.value ?? null) : null
    if (before === after && (after === null || isOwn)) continue
    settings.push({ name, before, after })
    effects.push({
      what: name,
      before: `${entry?.value ?? ''}${isOwn ? '' : ' (brokers)'}`,
      after: after ?? 'as the brokers have it'
    })
  }
  return {
    plan: {
      kind: 'topics-alter',
      confirmWord: topic,
      summary: `Changes ${counted(settings.length, 'setting')} of topic ${topic}.`,
      effects,
      warnings: warningsOf(settings, current),
      blockers,
      undo: { kind: 'possible' }
    },
    snapshot: { topic, settings: settings.map(({ name, before, after }) => ({ name, before, after })) },
    apply: async () => {
      const changes = settings.map(({ name, after }): ConfigChange => {
        return after === null ? { name, operation: 'delete' } : { name, operation: 'set', value: after }
      })
      const [altered] = await open.admin.alterConfigs([{ resource: { type: 'topic', name: topic }, changes }])
      if (altered !== undefined && altered.errorCode === 0) {
        return { isComplete: true, summary: `${settings.length} settings of ${topic} were changed.`, failures: [] }
      }
      const failure = altered === undefined ? 'no answer' : topicProblem(cluster, topic, altered)
      return { isComplete: false, summary: 'No setting was changed.', failures: [failure] }
    }
  }
}

interface CurrentSetting {
  readonly value: string | null
  readonly source: number
  readonly isReadOnly: boolean
}

async function currentOf({ admin }: TopicsOpen, topic: string): Promise<Map<string, CurrentSetting>> {
  const { topics } = await admin.describeTopics([topic])
  if (topics[0]?.errorCode !== 0) throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no topic ${topic}`)
  const [described] = await admin.describeConfigs([{ type: 'topic', name: topic }])
  if (described?.errorCode !== 0) {
    const name = kafkaErrorName(described?.errorCode ?? -1)
    throw new PipelineError('ERR_OPS_REFUSED', `the settings of ${topic} cannot be read: ${name}`)
  }
  return new Map(described.entries.map(({ name, value, source, isReadOnly }) => [name, { value, source, isReadOnly }]))
}

function warningsOf(settings: readonly Setting[], current: ReadonlyMap<string, CurrentSetting>): string[] {
  const warnings: string[] = []
  for (const { name, after } of settings) {
    const before = Number(current.get(name)?.value ?? Number.NaN)
    const isLess = after !== null && (before < 0 || Number(after) < before) && Number(after) >= 0
    if ((name === 'retention.ms' || name === 'retention.bytes') && isLess) {
      warnings.push(`a smaller ${name} deletes records soon: look at what is not read yet (comporta lag)`)
    }
    if (name === 'cleanup.policy' && after?.includes('compact') === true) {
      warnings.push('compaction keeps only the newest record of a key, and records without a key are refused')
    }
    if (name === 'max.message.bytes' && isLess)
      warnings.push('producers whose records are larger are refused from now on')
  }
  return warnings
}

/**
 * Takes new settings back.
 *
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED`, and as `planTopicConfigs`.
 */
export async function undoTopicConfigs(snapshot: Json, open: TopicsOpen): Promise<Change> {
  const topic = memberOf(snapshot, 'topic')
  const saved = memberOf(snapshot, 'settings')
  if (typeof topic !== 'string' || !Array.isArray(saved)) throw damaged('it has no topic and settings')
  const settings = saved.map(readSetting)
  const current = await currentOf(open, topic)
  const back: Record<string, string | undefined> = {}
  const conflicts: string[] = []
  for (const { name, before, after } of settings) {
    const entry = current.get(name)
    const now = entry?.source === TOPIC_SOURCE ? entry.value : null
    if (now === before) continue
    if (now !== after) conflicts.push(`${name} is ${now ?? 'not set'}: neither as before nor as the change left it`)
    back[name] = before ?? undefined
  }
  const change = await planTopicConfigs(open, topic, back)
  return { ...change, plan: { ...change.plan, conflicts }, apply: context => change.apply(context) }
}

function readSetting(value: Json): Setting {
  const [name, before, after] = [memberOf(value, 'name'), memberOf(value, 'before'), memberOf(value, 'after')]
  const isText = (part: Json | undefined): part is string | null => part === null || typeof part === 'string'
  if (typeof name !== 'string' || !isText(before) || !isText(after)) throw damaged('a setting of it is not one')
  return { name, before, after }
}
