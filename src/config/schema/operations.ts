/** `operations:` — what those who run the pipeline have agreed on: objectives, alerts, fleets, costs. */

import { z } from 'zod'

import { alertingSchema, alertsSchema } from './operations-alerts.ts'
import { costSchema } from './operations-cost.ts'
import { fleetSchema, rolloutSchema } from './operations-fleet.ts'
import { scaleSchema } from './operations-scale.ts'
import { lagSchema } from './operations-lag.ts'
import { healthSchema, sloSchema } from './operations-slo.ts'

/** Each part is a file of its own, `operations-….ts`, and can be left out. */
export const operationsSchema = z
  .strictObject({
    lag: lagSchema,
    slo: sloSchema,
    health: healthSchema,
    alerts: alertsSchema,
    alerting: alertingSchema,
    fleet: fleetSchema,
    scale: scaleSchema,
    rollout: rolloutSchema,
    cost: costSchema
  })
  .prefault({})
  .describe('What `lag`, `doctor`, `scale`, `rollout`, `cost` and `report` go by. Everything has a default.')

/** The section as read. */
export type OperationsConfig = z.infer<typeof operationsSchema>

/** The section of a file that says nothing of operations. */
export function operationsDefaults(): OperationsConfig {
  return operationsSchema.parse(undefined)
}
