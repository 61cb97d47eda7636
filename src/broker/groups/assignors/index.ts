/** The server-side assignors of consumer groups, by Kafka's names; the first one is the default. */

import type { Assignor } from './assignor.ts'
import { rangeAssignor } from './range.ts'
import { uniformAssignor } from './uniform.ts'

export type { AssignmentInput, AssignmentMember, Assignor, GroupAssignment } from './assignor.ts'
export { rangeAssignor, uniformAssignor }

/** All assignors. */
export const ASSIGNORS: readonly Assignor[] = [uniformAssignor, rangeAssignor]

/** Their names. */
export const ASSIGNOR_NAMES: readonly string[] = ASSIGNORS.map(({ name }) => name)
