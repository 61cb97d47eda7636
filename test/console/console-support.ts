/** One area of the console without its server: routes in a map, an embedded broker, and callers of both roles. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import fastify from 'fastify'

import { startBroker } from '../../src/broker/index.ts'
import { Admin, Appender, type AppendRecord, Cluster } from '../../src/client/index.ts'
import type { AuditEntry } from '../../src/console/api/session.ts'
import type { InstanceLook } from '../../src/console/flow/instance-types.ts'
import type { AddRoutes, Caller, ConsoleContext, Order, View } from '../../src/console/server/server-types.ts'
import { type Clock, systemClock } from '../../src/core/index.ts'
import { UndoStore } from '../../src/ops/index.ts'
import { silentLogger } from '../../src/telemetry/index.ts'

/** A caller who may do everything. */
export const operator: Caller = {
  user: 'ana',
  role: 'operator',
  isMasked: false,
  isExportAllowed: true,
  sessionId: 'session-1'
}

/** What a test says of its console. */
export interface AreaOptions {
  readonly undoFolder: string
  readonly clock?: Clock
  readonly looks?: InstanceLook[]
  /** Hears what is ordered of processes. */
  readonly onControl?: (name: string, order: string, place: string) => void
  readonly replay?: ConsoleContext['replay']
  readonly pipeline?: ConsoleContext['pipeline']
}

/** An area that can be asked. */
export class Area {
  readonly admin: Admin
  readonly cluster: Cluster
  readonly context: ConsoleContext
  readonly audit: Omit<AuditEntry, 'atMs'>[] = []
  readonly app = fastify()
  /** Who calls the routes of `app`. */
  caller: Caller = operator
  readonly #views = new Map<string, View>()
  readonly #orders = new Map<string, Order>()

  constructor(add: readonly AddRoutes[], cluster: Cluster, options: AreaOptions) {
    const { undoFolder, clock = systemClock, looks = [], onControl } = options
    this.cluster = cluster
    this.admin = new Admin(cluster)
    const closing = new AbortController()
    // The part of a context that these areas use.
    this.context = {
      cluster,
      admin: this.admin,
      pipeline: options.pipeline,
      operations: { slo: [] },
      clock,
      logger: silentLogger,
      closing: closing.signal,
      undo: new UndoStore({ folder: undoFolder }),
      instances: {
        latest: () => looks,
        control: (instance: { name: string }, order: string, at: { topic: string; partition: number }) => {
          onControl?.(instance.name, order, `${at.topic}-${at.partition}`)
          return Promise.resolve()
        },
        close: () => Promise.resolve()
      },
      world: { latest: () => undefined },
      audit: {
        append: (entry: Omit<AuditEntry, 'atMs'>) => Promise.resolve(void this.audit.push(entry)),
        read: () => Promise.resolve({ rows: [], total: 0 })
      },
      ...(options.replay === undefined ? {} : { replay: options.replay })
    } as unknown as ConsoleContext
    for (const addRoutes of add) {
      addRoutes(
        {
          view: view => void this.#views.set(view.path, view),
          order: order => void this.#orders.set(order.path, order),
          app: this.app,
          callerOf: () => this.caller
        },
        this.context
      )
    }
    this.close = () => closing.abort()
  }

  /** Ends what runs. */
  readonly close: () => void

  /** GET of a view. */
  async get<T>(path: string, caller: Caller = operator): Promise<T> {
    const url = new URL(path, 'http://console')
    const view = this.#views.get(url.pathname)
    if (view === undefined) throw new Error(`no view ${url.pathname}`)
    // Of the type that the view is declared with.
    return (await view.read(url.searchParams, caller)) as T
  }

  /** POST of an order. */
  async post<T>(path: string, body: unknown, caller: Caller = operator): Promise<T> {
    const order = this.#orders.get(path)
    if (order === undefined) throw new Error(`no order ${path}`)
    return (await order.run(JSON.parse(JSON.stringify(body)), caller)) as T
  }
}

/** A folder that goes with the test. */
export function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'comporta-console-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A cluster of the test's own. */
export async function clusterOf(t: TestContext, config: Readonly<Record<string, string>> = {}): Promise<Cluster> {
  const broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0', ...config } })
  t.after(() => broker.close())
  const cluster = await Cluster.connect({ bootstrapServers: [broker.bootstrapServers] })
  t.after(() => cluster.close())
  return cluster
}

/** Appends records, each with its own time. */
export async function append(cluster: Cluster, records: readonly AppendRecord[]): Promise<void> {
  const appender = new Appender({ cluster, lingerMs: 0 })
  let failure: unknown
  const listener = { delivered: () => undefined, failed: (error: unknown) => void (failure = error) }
  for (const record of records) while (!appender.append(record, listener)) await appender.room()
  await appender.flush()
  await appender.close()
  if (failure !== undefined) throw failure
}
