/** Another size of a fleet, as a change: planned by looking, recorded, and taken back by the size before. */

import { type Clock, PipelineError } from '../../core/index.ts'
import type { Change, Json } from '../change/change.ts'
import type { UndoHandler } from '../change/undo-types.ts'
import type { FleetActuator } from './fleet.ts'
import { openFleet } from './open-fleet.ts'

/** Name of the handler of its undo. */
export const RESIZE_KIND = 'fleet'

/** What is to be changed. */
export interface ResizeRequest {
  readonly fleet: FleetActuator
  readonly from: number
  readonly to: number
  /** Why, in sentences. */
  readonly reasons: readonly string[]
}

/** Plans it. */
export function resizeChange({ fleet, from, to, reasons }: ResizeRequest): Change {
  const rebalance = 'the group rebalances: partitions that move stand still meanwhile'
  return {
    plan: {
      kind: RESIZE_KIND,
      confirmWord: fleet.name,
      summary: `${fleet.name}: ${from} → ${to} instances`,
      effects: from === to ? [] : [{ what: fleet.name, before: `${from} instances`, after: `${to} instances` }],
      warnings: [...reasons, rebalance],
      blockers: [],
      undo: { kind: 'possible' }
    },
    snapshot: { fleet: fleet.name, from, to },
    apply: async ({ onProgress, signal }) => {
      await fleet.resize(to, signal)
      onProgress?.(`${fleet.name}: asked for ${to} instances`)
      return {
        isComplete: true,
        summary: `${fleet.name} was asked for ${to} instances instead of ${from}.`,
        failures: []
      }
    }
  }
}

/** Plans the way back: the size before, if nobody has changed it since. */
export const undoResize: UndoHandler = async (snapshot, { pipeline, environment = {}, clock }) => {
  const { fleet: name, from, to } = readSnapshot(snapshot)
  const config = pipeline?.operations.fleet
  if (config === undefined) {
    throw new PipelineError('ERR_OPS_NOT_FOUND', `the pipeline file has no operations.fleet: ${name} cannot be reached`)
  }
  return await changeBack({ name, from, to }, await openFleet(config, { environment, clock: clock satisfies Clock }))
}

async function changeBack(snapshot: Snapshot, fleet: FleetActuator): Promise<Change> {
  const { wanted } = await fleet.size()
  const { name, from, to } = snapshot
  const change = resizeChange({ fleet, from: wanted, to: from, reasons: [] })
  const blockers =
    fleet.name === name ? [] : [`the pipeline file names the fleet ${fleet.name}, the change was made on ${name}`]
  const conflicts =
    wanted === to || wanted === from ? [] : [`${name} has ${wanted} instances now, neither ${to} nor ${from}`]
  return {
    ...change,
    plan: { ...change.plan, blockers, conflicts },
    apply: async context => {
      try {
        return await change.apply(context)
      } finally {
        await fleet.close?.()
      }
    }
  }
}

interface Snapshot {
  readonly name: string
  readonly from: number
  readonly to: number
}

function readSnapshot(snapshot: Json): { readonly fleet: string; readonly from: number; readonly to: number } {
  const { fleet, from, to } = Object(snapshot) as Record<string, unknown>
  if (typeof fleet === 'string' && Number.isInteger(from) && Number.isInteger(to)) {
    return { fleet, from: Number(from), to: Number(to) }
  }
  throw new PipelineError('ERR_OPS_UNDO_DAMAGED', 'the record does not say which size the fleet had')
}
