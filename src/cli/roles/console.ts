/** The web console as a role. */

import { readFile } from 'node:fs/promises'

import type { Cluster } from '../../client/index.ts'
import type { ConsoleConfig, KafkaConfig, PipelineConfig } from '../../config/index.ts'
import { messageOf, PipelineError, systemClock } from '../../core/index.ts'
import type { ConsoleSecrets, Instance, PlanReplay } from '../../console/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import { SourceReader } from '../certificates/source-reader.ts'
import { packageVersion } from '../package-version.ts'
import type { RunningRole } from '../process/role.ts'
import { connectRole } from '../wiring.ts'

/** What the role is told: what can cross a process boundary. */
export interface ConsoleRoleOptions {
  readonly kafka: KafkaConfig
  /** Absent where only brokers were named. */
  readonly pipeline?: PipelineConfig | undefined
  readonly settings: ConsoleConfig
  /** Processes that `up` has started; those of the settings come besides. */
  readonly instances: readonly Instance[]
  /** Opens the console where nothing else does; see `needsStartToken` of console-token.ts. */
  readonly startToken?: string | undefined
  readonly undoFolder: string
  /** Where it was before it was started again: the address that was printed goes on to work. */
  readonly lastPort?: number | undefined
}

/** Connects and serves. */
export async function startConsoleRole(options: ConsoleRoleOptions, logger: Logger): Promise<RunningRole> {
  const { kafka, pipeline, settings, startToken, undoFolder, lastPort } = options
  const round = new SourceReader(process.env).round()
  const secrets = await readSecrets(settings, round)
  const others = await readInstances(settings, round)
  let { instances } = options
  const { startConsole } = await import('../../console/index.ts')
  const { certificatesOf } = await import('../operations/doctor-certificates.ts')
  const cluster = await connectRole(kafka, 'console', { logger, mayBeAway: true })
  try {
    const console = await startConsole({
      cluster,
      bootstrapServers: kafka.bootstrapServers,
      certificates: async () => await certificatesOf(kafka),
      pipeline,
      ...(await replayOf(pipeline, cluster, logger)),
      settings,
      secrets: { ...secrets, ...(startToken === undefined ? {} : { startToken }) },
      version: packageVersion(),
      instances: () => distinctInstances(instances, others),
      undoFolder,
      usualPort: lastPort,
      auditFile: settings.audit.file,
      clock: systemClock,
      logger: logger.child({ room: 'console' })
    })
    if (console.isOtherPort) logger.warn({ url: console.url }, 'the usual port is taken: the console uses another one')
    return {
      // Behind the #, the token is not sent to any server and is in no log of one.
      info: { url: startToken === undefined ? console.url : `${console.url}/#token=${startToken}` },
      status: () => ({}),
      configure: (again: ConsoleRoleOptions) => {
        instances = again.instances
        return []
      },
      drain: async () => {
        await console.close()
        await cluster.close()
      }
    }
  } catch (error) {
    await cluster.close()
    throw error
  }
}

/** Replays need the dispatcher of a pipeline file. */
async function replayOf(
  pipeline: PipelineConfig | undefined,
  cluster: Cluster,
  logger: Logger
): Promise<{ readonly replay?: PlanReplay }> {
  if (pipeline?.dispatcher === undefined) return {}
  const { Admin } = await import('../../client/index.ts')
  const { replayPlanner } = await import('../operations/replay-run.ts')
  return { replay: replayPlanner({ pipeline, cluster, admin: new Admin(cluster), logger }) }
}

type SourceRound = ReturnType<SourceReader['round']>

async function readSecrets({ auth, tls }: ConsoleConfig, round: SourceRound): Promise<ConsoleSecrets> {
  const tokens: Record<string, string> = {}
  for (const [index, { name, token }] of auth.tokens.entries()) {
    if (token !== undefined) tokens[name] = await round.text(token, ['console', 'auth', 'tokens', `${index}`, 'token'])
  }
  const secret = auth.oidc?.clientSecret
  return {
    tokens,
    ...(secret === undefined
      ? {}
      : { oidcClientSecret: await round.text(secret, ['console', 'auth', 'oidc', 'clientSecret']) }),
    ...(tls === undefined
      ? {}
      : { tls: { cert: await readPem('console.tls.cert', tls.cert), key: await readPem('console.tls.key', tls.key) } })
  }
}

async function readPem(setting: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new PipelineError('ERR_CONFIG_INVALID', `${setting}: ${messageOf(error)}`, { cause: error })
  }
}

/** Orders go by name: one of another machine that is called like one of this run has its address behind it. */
export function distinctInstances(own: readonly Instance[], others: readonly Instance[]): readonly Instance[] {
  const taken = new Set(own.map(({ name }) => name))
  return [
    ...own,
    ...others.map(each => (taken.has(each.name) ? { ...each, name: `${each.name}@${new URL(each.url).host}` } : each))
  ]
}

async function readInstances({ instances }: ConsoleConfig, round: SourceRound): Promise<Instance[]> {
  const read = instances.map(async ({ name, role, url, controlToken }, index): Promise<Instance> => {
    if (controlToken === undefined) return { name, role, url }
    const place = ['console', 'instances', `${index}`, 'controlToken']
    return { name, role, url, controlToken: await round.text(controlToken, place) }
  })
  return await Promise.all(read)
}
