/** The views of the console's model without a server: what a test or a bench reads them by. */

import { Admin, type Cluster } from '../../src/client/index.ts'
import { operationsDefaults, type OperationsConfig, type PipelineConfig } from '../../src/config/index.ts'
import { type Clock, systemClock } from '../../src/core/index.ts'
import type { InstanceLook } from '../../src/console/flow/instance-types.ts'
import type { Caller, ConsoleContext, ConsoleRoutes, View } from '../../src/console/server/server-types.ts'
import { addWorldRoutes } from '../../src/console/world/world-routes.ts'
import type { World } from '../../src/console/world/world-types.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

/** What views are made from. */
export interface ConsoleViewsOptions {
  readonly world: World
  readonly cluster: Cluster
  readonly clock?: Clock
  readonly pipeline?: PipelineConfig
  readonly operations?: OperationsConfig
  readonly instances?: () => readonly InstanceLook[]
}

/** Reads a view by its path and query. */
export type ReadView = (path: string) => Promise<unknown>

/** Views by path. */
export function viewsOf(options: ConsoleViewsOptions): ReadView {
  const { world, cluster, pipeline, clock = systemClock } = options
  const views = new Map<string, View>()
  // Views of this area ask for no more of the server than this.
  const routes = { view: (view: View) => void views.set(view.path, view) } as unknown as ConsoleRoutes
  const instances = { latest: () => options.instances?.() ?? [] }
  const operations = options.operations ?? pipeline?.operations ?? operationsDefaults()
  const given = { world, cluster, pipeline, clock, operations, instances }
  const closing = new AbortController().signal
  const context = { ...given, admin: new Admin(cluster), logger: silentLogger, closing } as unknown as ConsoleContext
  addWorldRoutes(routes, context)
  return async path => {
    const { pathname, searchParams } = new URL(path, 'http://console')
    const view = views.get(pathname)
    if (view === undefined) throw new Error(`there is no view ${pathname}`)
    return await view.read(searchParams, {} as Caller)
  }
}
