/**
 * Starts the console: what it knows, who may ask, the server in front of it.
 *
 * It stops in the order in which nobody is left waiting: streams end, then requests, then looks at the cluster, then
 * the audit log.
 */

import type { AddressInfo } from 'node:net'

import type { FastifyInstance } from 'fastify'

import { Admin, type Cluster } from '../../client/index.ts'
import { CONSOLE_PORT, type ConsoleConfig, operationsDefaults, type PipelineConfig } from '../../config/index.ts'
import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import { UndoStore } from '../../ops/index.ts'
import type { Logger, Meter } from '../../telemetry/index.ts'
import { createInstanceWatch } from '../flow/instance-watch.ts'
import type { Instance, InstanceWatch } from '../flow/instance-types.ts'
import { createWorld } from '../world/world.ts'
import type { World } from '../world/world-types.ts'
import { createApp } from './app.ts'
import { AREAS } from './areas.ts'
import { openAuditLog, type OpenAuditLog } from './audit-log.ts'
import { Guard } from './guard.ts'
import { Limiter } from './limiter.ts'
import { LiveStreams } from './live.ts'
import { addLoginRoutes } from './login-routes.ts'
import { OidcLogin } from './oidc.ts'
import { bracketed } from './origin.ts'
import { addAuditRoutes } from './own-routes.ts'
import { loadPages, type PageFiles } from './pages.ts'
import { addLiveRoute, closeToNobody, type ConsoleRoute, consoleRoutes, routesOf } from './routes.ts'
import type { AddRoutes, Caller, ConsoleContext, View } from './server-types.ts'
import { SessionStore } from './sessions.ts'
import { checkStart, type ConsoleSecrets, knownTokens } from './settings.ts'

/** How often sessions whose time is over are looked for. */
const SWEEP_MS = 30_000
/** Refusals of one login that are written down: more of them would drive what matters out of the audit log. */
const REFUSALS = { perSecond: 0.1, burst: 30 } as const

/** What a console is started with. */
export interface ConsoleOptions extends Pick<ConsoleContext, 'bootstrapServers' | 'certificates' | 'replay'> {
  readonly cluster: Cluster
  /** Absent where only brokers were named. */
  readonly pipeline?: PipelineConfig | undefined
  readonly settings: ConsoleConfig
  readonly secrets?: ConsoleSecrets
  /** Version of the package, for the pages. */
  readonly version: string
  /** Processes of the pipeline; asked again at each look, because they come and go. Default: none. */
  readonly instances?: () => readonly Instance[]
  /** Where ways back are kept. */
  readonly undoFolder: string
  readonly auditFile: string
  readonly clock: Clock
  readonly logger: Logger
  readonly meter?: Meter
  /** Tried first where no port is named. Default 7070. */
  readonly usualPort?: number | undefined
  /** Default: its own. */
  readonly world?: World
  /** Default: its own, of `instances`. */
  readonly instanceWatch?: InstanceWatch
  /** Default: those of the package, or of the checkout. */
  readonly pages?: () => Promise<PageFiles>
  /** Default: all. */
  readonly areas?: readonly AddRoutes[]
}

/** A console that runs. */
export interface Console {
  /** Without token: `http://127.0.0.1:7070`. */
  readonly url: string
  readonly port: number
  /** Whether the usual port was taken, and another one is used. */
  readonly isOtherPort: boolean
  /** Everything it answers to, beside the pages. */
  readonly routes: readonly ConsoleRoute[]
  close(): Promise<void>
}

/**
 * Starts it.
 *
 * @throws PipelineError `ERR_CONSOLE_UNSAFE` if others could reach it without login or TLS, `ERR_CONSOLE_LISTEN` if a
 *   port that was named cannot be had, `ERR_CONSOLE_AUDIT`, `ERR_CONFIG_INVALID`.
 */
export async function startConsole(options: ConsoleOptions): Promise<Console> {
  checkStart(options.settings)
  const parts = await openParts(options)
  try {
    const { app, guard, streams, routes } = await assemble(options, parts)
    const { port, isOtherPort } = await listen(app, options)
    guard.listening(port)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      parts.closing.abort()
      streams.close()
      await app.close()
      await closeParts(parts)
    }
    return { url: urlOf(options.settings, port), port, isOtherPort, routes, close: () => (closing ??= close()) }
  } catch (error) {
    parts.closing.abort()
    await closeParts(parts)
    throw error
  }
}

/** What outlives requests. */
interface Parts {
  readonly world: World
  readonly instances: InstanceWatch
  readonly audit: OpenAuditLog
  readonly closing: AbortController
}

async function openParts(options: ConsoleOptions): Promise<Parts> {
  const { cluster, pipeline, settings, clock, logger, auditFile: file } = options
  const { bytesMax, filesMax } = settings.audit
  const audit = await openAuditLog({ file, bytesMax, filesMax, clock })
  const operations = pipeline?.operations ?? operationsDefaults()
  const world = options.world ?? createWorld({ cluster, operations, clock, logger })
  const instances =
    options.instanceWatch ?? createInstanceWatch({ instances: options.instances ?? (() => []), world, clock, logger })
  return { world, instances, audit, closing: new AbortController() }
}

async function closeParts({ world, instances, audit }: Parts): Promise<void> {
  await instances.close()
  await world.close()
  await audit.close()
}

interface Assembled {
  readonly app: FastifyInstance
  readonly guard: Guard
  readonly streams: LiveStreams
  readonly routes: readonly ConsoleRoute[]
}

async function assemble(options: ConsoleOptions, parts: Parts): Promise<Assembled> {
  const { settings, secrets = {}, clock, logger } = options
  const sessions = new SessionStore({
    idleMs: settings.auth.idleMinutes * 60_000,
    sessionMs: settings.auth.sessionHours * 3_600_000,
    sessionsMax: settings.auth.sessionsMax,
    clock,
    onEnded: ({ id }) => {
      streams.endOf(id)
      guard.answers.end(id)
    }
  })
  const sweep = clock.every(SWEEP_MS, () => sessions.sweep(({ id }) => guard.answers.has(id))).unref()
  parts.closing.signal.addEventListener('abort', () => sweep.cancel(), { once: true })
  const refusals = new Limiter(REFUSALS)
  const onRefused = (caller: Caller, path: string): void => {
    if (refusals.take(caller.sessionId, clock.monotonicMs()) === 0) auditRefusal({ caller, path, parts, logger })
  }
  const guard = new Guard({ settings, sessions, clock, onRefused })
  const app = await createApp({ settings, secrets, pages: pagesOnce(options.pages ?? (() => loadPages())), logger })
  const all = routesOf(app)
  guard.guard(app)
  const views = new Map<string, View>()
  const { streamsMax, streamsPerSession } = settings.limits
  const streams = new LiveStreams({ world: parts.world, views, streamsMax, streamsPerSession, clock, logger })
  addLoginRoutes(app, {
    settings,
    tokens: knownTokens(settings, secrets),
    oidc: oidcOf(settings, secrets, clock),
    sessions,
    guard,
    audit: parts.audit,
    pipelineName: options.pipeline?.name ?? options.bootstrapServers.join(', '),
    version: options.version,
    onProblem: (error, message) => logger.warn({ error: messageOf(error) }, message)
  })
  closeToNobody(app)
  addLiveRoute(app, { guard, streams, sessions })
  const routes = consoleRoutes(app, guard, views)
  const context = contextOf(options, parts)
  for (const add of options.areas ?? [addAuditRoutes, ...AREAS]) add(routes, context)
  return { app, guard, streams, routes: all }
}

function contextOf(options: ConsoleOptions, parts: Parts): ConsoleContext {
  const { cluster, bootstrapServers, certificates, replay, pipeline, undoFolder, clock, logger } = options
  return {
    cluster,
    bootstrapServers,
    ...(certificates === undefined ? {} : { certificates }),
    ...(replay === undefined ? {} : { replay }),
    admin: new Admin(cluster),
    pipeline,
    operations: pipeline?.operations ?? operationsDefaults(),
    world: parts.world,
    instances: parts.instances,
    undo: new UndoStore({ folder: undoFolder, clock }),
    audit: parts.audit,
    clock,
    logger,
    closing: parts.closing.signal
  }
}

function oidcOf(settings: ConsoleConfig, { oidcClientSecret }: ConsoleSecrets, clock: Clock): OidcLogin | undefined {
  const { oidc } = settings.auth
  return oidc === undefined ? undefined : new OidcLogin({ settings: oidc, clientSecret: oidcClientSecret, clock })
}

interface Refusal {
  readonly caller: Caller
  readonly path: string
  readonly parts: Parts
  readonly logger: Logger
}

function auditRefusal({ caller, path, parts, logger }: Refusal): void {
  const { user, role } = caller
  const detail = `needs more than the role ${role}`
  parts.audit
    .append({ user, role, action: 'refused', subject: path, outcome: 'refused', detail, undoId: null })
    .catch((error: unknown) => logger.warn({ error: messageOf(error) }, 'a refusal is not in the audit log'))
}

/** Loads them with the first request; after a failure the next one tries again. */
function pagesOnce(load: () => Promise<PageFiles>): () => Promise<PageFiles> {
  let pages: Promise<PageFiles> | undefined
  return () => {
    pages ??= load().catch((error: unknown) => {
      pages = undefined
      throw error
    })
    return pages
  }
}

async function listen(
  app: FastifyInstance,
  { settings: { host, port }, usualPort }: ConsoleOptions
): Promise<{ readonly port: number; readonly isOtherPort: boolean }> {
  const listenOn = async (wanted: number): Promise<number> => {
    await app.listen({ host, port: wanted })
    // Listening on TCP: the address is never a path.
    return (app.server.address() as AddressInfo).port
  }
  const isNamed = port !== undefined && port !== 0
  const first = isNamed ? port : (usualPort ?? port ?? CONSOLE_PORT)
  try {
    return { port: await listenOn(first), isOtherPort: false }
  } catch (error) {
    // Nobody asked for the usual port: a second console of this machine takes another one.
    if (!isNamed && first !== 0 && isTaken(error)) return { port: await listenOn(0), isOtherPort: true }
    const message = `cannot listen on ${bracketed(host)}:${first}: ${messageOf(error)}`
    throw new PipelineError('ERR_CONSOLE_LISTEN', message, { cause: error })
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES')
}

function urlOf({ publicUrl, tls, host }: ConsoleConfig, port: number): string {
  if (publicUrl !== undefined) return new URL(publicUrl).origin
  return `${tls === undefined ? 'http' : 'https'}://${bracketed(host)}:${port}`
}
