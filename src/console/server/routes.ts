/** Views and orders become routes: what an area adds is checked like everything else. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { PipelineError } from '../../core/index.ts'
import { defaultNeeds, type Guard, type RouteNeeds } from './guard.ts'
import type { LiveSink, LiveStreams } from './live.ts'
import type { Caller, ConsoleRoutes, Order, View } from './server-types.ts'
import type { SessionStore } from './sessions.ts'

/** Collects views while areas add theirs. */
export function consoleRoutes(app: FastifyInstance, guard: Guard, views: Map<string, View>): ConsoleRoutes {
  return {
    app,
    view: view => {
      views.set(view.path, view)
      app.get(view.path, { config: { needs: view.needs ?? 'viewer' } }, async request => {
        return await view.read(queryOf(request), guard.callerOf(request))
      })
    },
    order: order => {
      app.post(order.path, { config: { needs: order.needs ?? 'operator' } }, async request => {
        return await run(order, request, guard)
      })
    },
    callerOf: request => guard.callerOf(request as FastifyRequest) // of a route of `app`, as its contract says
  }
}

async function run(order: Order, request: FastifyRequest, guard: Guard): Promise<unknown> {
  // A view of nothing is an empty object, too: a page can always read the answer.
  return (await order.run(request.body ?? {}, guard.callerOf(request))) ?? {}
}

/** The query of a request; it may have question marks of its own. */
export function queryOf({ raw }: Pick<FastifyRequest, 'raw'>): URLSearchParams {
  const { url = '' } = raw
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
}

/** A route, and who may ask. */
export interface ConsoleRoute {
  readonly method: string
  readonly path: string
  readonly needs: RouteNeeds
}

/** Takes note of every route that is added from now on. */
export function routesOf(app: FastifyInstance): readonly ConsoleRoute[] {
  const routes: ConsoleRoute[] = []
  app.addHook('onRoute', ({ method, url, config }) => {
    for (const each of [method].flat())
      routes.push({ method: each, path: url, needs: config?.needs ?? defaultNeeds(each) })
  })
  return routes
}

/** Refuses routes of areas that would be open to everybody. Call before areas add theirs. */
export function closeToNobody(app: FastifyInstance): void {
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.needs !== 'nobody') return
    throw new PipelineError('ERR_CORE_INVARIANT', `the route ${url} would be open to everybody`)
  })
}

/** Adds `GET /api/live`. */
export function addLiveRoute(app: FastifyInstance, parts: LiveRouteParts): void {
  app.get('/api/live', { config: { needs: 'viewer' } }, (request, reply) => openLive(request, reply, parts))
}

/** What the stream's route works with. */
export interface LiveRouteParts {
  readonly guard: Guard
  readonly streams: LiveStreams
  readonly sessions: SessionStore
}

function openLive(request: FastifyRequest, reply: FastifyReply, { guard, streams, sessions }: LiveRouteParts): void {
  const caller: Caller = guard.callerOf(request)
  const ofs = streams.admit(queryOf(request).getAll('of'), caller)
  const { session } = request
  const isAlive = (): boolean => session !== undefined && sessions.keepAlive(session)
  const headers = reply.getHeaders()
  reply.hijack()
  const { raw } = reply
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) raw.setHeader(name, value)
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    // Proxies hold back what they would compress.
    'x-accel-buffering': 'no'
  })
  raw.flushHeaders()
  const sink: LiveSink = {
    write: text => raw.write(text),
    onDrained: drained => void raw.once('drain', drained),
    end: () => {
      raw.end()
      // One that takes nothing does not take the end, either.
      if (raw.writableNeedDrain) raw.destroy()
    }
  }
  // A socket that is gone says so here; nobody is there to be told.
  raw.on('error', () => undefined)
  const end = streams.open(ofs, { caller, isAlive }, sink)
  raw.on('close', end)
}
