/** The operations: one line for each command that looks at a cluster, or changes it. */

import type { Command } from 'commander'

import type { CommandAction } from '../commands/action.ts'
import { addAudit } from '../commands/audit.ts'
import { addChaos } from '../commands/chaos.ts'
import { addCost } from '../commands/cost.ts'
import { addDashboards } from '../commands/dashboards.ts'
import { addDoctor } from '../commands/doctor.ts'
import { addGroups } from '../commands/groups.ts'
import { addLag } from '../commands/lag.ts'
import { addOffsets } from '../commands/offsets.ts'
import { addPartitions } from '../commands/partitions.ts'
import { addQuota } from '../commands/quota.ts'
import { addRecords } from '../commands/records.ts'
import { addRedrive } from '../commands/redrive.ts'
import { addReplay } from '../commands/replay.ts'
import { addReport } from '../commands/report.ts'
import { addRollout } from '../commands/rollout.ts'
import { addScale } from '../commands/scale.ts'
import { addSlo } from '../commands/slo.ts'
import { addTopics } from '../commands/topics.ts'
import { addSimulate } from '../commands/simulate.ts'
import { addUndo } from '../commands/undo.ts'

const commands: readonly ((program: Command, action: CommandAction) => void)[] = [
  addAudit,
  addChaos,
  addDoctor,
  addLag,
  addGroups,
  addOffsets,
  addRecords,
  addRedrive,
  addReplay,
  addPartitions,
  addQuota,
  addRollout,
  addScale,
  addSimulate,
  addSlo,
  addTopics,
  addUndo,
  addDashboards,
  addCost,
  addReport
]

/** Adds them all. */
export function addOperations(program: Command, action: CommandAction): void {
  for (const add of commands) add(program, action)
}
