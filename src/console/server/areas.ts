/** The areas of the console: each adds its answers. */

import { addChangeRoutes } from '../changes/change-routes.ts'
import { addFlowRoutes } from '../flow/flow-routes.ts'
import { addInsightRoutes } from '../insight/insight-routes.ts'
import { addRecordRoutes } from '../records/record-routes.ts'
import { addWorldRoutes } from '../world/world-routes.ts'
import type { AddRoutes } from './server-types.ts'

/** In the order in which they are added. */
export const AREAS: readonly AddRoutes[] = [
  addWorldRoutes,
  addChangeRoutes,
  addRecordRoutes,
  addFlowRoutes,
  addInsightRoutes
]
