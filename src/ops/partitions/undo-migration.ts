/**
 * Takes a migration back: what there is to undo in Kafka is the new topic, and only while it is empty.
 *
 * A producer that waits for the new topic writes to it as soon as it is there, so an empty one is watched for a while
 * before it is deleted. Once it holds records they are newer than those of the old topic: the way back is then a
 * migration of its own, which keeps the order.
 */

import { Admin, type Cluster } from '../../client/index.ts'
import { PipelineError, sleep } from '../../core/index.ts'
import type { ApplyContext, Change, ChangeResult, Json } from '../change/change.ts'
import type { UndoOpen } from '../change/undo-types.ts'
import { MigrationFile } from './migration-file.ts'

/** A producer that waits for a topic looks for it at least every second. */
const EMPTY_FOR_MS = 3000

/** What a migration saves for its undo. */
interface MigrationSnapshot {
  readonly topic: string
  readonly target: string
  readonly stateFile: string
}

/**
 * Handler of `comporta undo` for the kind `partitions-migrate`.
 *
 * @param emptyForMs - How long the new topic has to stay empty before it is deleted, in milliseconds. Default 3,000.
 * @throws PipelineError `ERR_OPS_UNDO_DAMAGED` if the snapshot is not one of a migration.
 */
export async function undoMigration(
  snapshot: Json,
  { cluster }: Pick<UndoOpen, 'cluster'>,
  emptyForMs: number = EMPTY_FOR_MS
): Promise<Change> {
  const { topic, target, stateFile } = snapshotOf(snapshot)
  const records = await recordsIn(cluster, target)
  const isThere = records !== undefined
  const back = `switch producers back to ${topic}, and take ${target} out of the topics of the groups`
  const blockers =
    isThere && records > 0n
      ? [
          `${target} holds ${records} records, which are newer than those of ${topic}: go back in order with ` +
            `comporta partitions migrate ${target}`
        ]
      : []
  return {
    plan: {
      kind: 'partitions-migrate-undo',
      confirmWord: topic,
      summary: isThere ? `The empty topic ${target} is deleted; first ${back}.` : `${target} is not there; ${back}.`,
      effects: [
        ...(isThere ? [{ what: `topic ${target}`, before: 'empty', after: 'deleted' }] : []),
        { what: 'state of the migration', before: stateFile, after: 'deleted' }
      ],
      warnings: [back],
      blockers,
      undo: { kind: 'impossible', reason: 'start the migration again' }
    },
    snapshot: undefined,
    apply: context => apply(cluster, { topic, target, stateFile, emptyForMs }, context)
  }
}

async function apply(
  cluster: Cluster,
  { topic, target, stateFile, emptyForMs }: MigrationSnapshot & { readonly emptyForMs: number },
  { onProgress, signal }: ApplyContext
): Promise<ChangeResult> {
  if ((await recordsIn(cluster, target)) !== undefined) {
    onProgress?.(`watching ${target} for a producer that writes to it`)
    if (!(await sleep(cluster.clock, emptyForMs, signal)))
      return { isComplete: false, summary: 'Stopped: nothing was changed.', failures: [] }
    const records = await recordsIn(cluster, target)
    if (records !== undefined && records > 0n) {
      const failure = `${records} records came to ${target}: a producer still writes to it`
      return { isComplete: false, summary: 'Nothing was changed.', failures: [failure] }
    }
    const [result] = await new Admin(cluster).deleteTopics([target])
    const name = result?.errorName ?? 'no answer'
    if (name !== 'NONE' && name !== 'UNKNOWN_TOPIC_OR_PARTITION')
      throw new PipelineError('ERR_OPS_REFUSED', `${target} was not deleted: ${name}`)
  }
  await new MigrationFile(stateFile).remove()
  return { isComplete: true, summary: `The migration of ${topic} is taken back.`, failures: [] }
}

/** Records that were ever written to a topic; `undefined` if it is not there. */
async function recordsIn(cluster: Cluster, topic: string): Promise<bigint | undefined> {
  const admin = new Admin(cluster)
  const { topics } = await admin.describeTopics([topic])
  const partitions = topics[0]?.partitions ?? []
  if (partitions.length === 0) return undefined
  const ends = await admin.listOffsets(partitions.map(({ partition }) => ({ topic, partition, at: 'latest' as const })))
  return ends.reduce((sum, { offset }) => sum + offset, 0n)
}

function snapshotOf(snapshot: Json): MigrationSnapshot {
  if (typeof snapshot === 'object' && snapshot !== null && !Array.isArray(snapshot)) {
    const { topic, target, stateFile } = snapshot as Readonly<Record<string, Json>>
    if (typeof topic === 'string' && typeof target === 'string' && typeof stateFile === 'string')
      return { topic, target, stateFile }
  }
  throw new PipelineError('ERR_OPS_UNDO_DAMAGED', 'the record is none of a migration of partitions')
}
