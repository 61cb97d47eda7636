/** `GET /api/flow`: what holds records back. */

import type { AddRoutes } from '../server/server-types.ts'
import { flowOf } from './flow-view.ts'

/** Adds the answers of this area. */
export const addFlowRoutes: AddRoutes = (routes, { world, instances }) => {
  routes.view({
    path: '/api/flow',
    read: async () => flowOf(instances.latest(), (await world.ready()).freshness)
  })
}
