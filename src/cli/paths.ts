/** Paths in a pipeline file count from the folder that the file is in, wherever the command is run. */

import { resolve } from 'node:path'

import type {
  ConsoleConfig,
  DispatcherConfig,
  EventCheckConfig,
  FleetConfig,
  FunctionConfig,
  KafkaConfig,
  OperationsConfig,
  PipelineConfig,
  ProducerConfig,
  SourceConfig,
  TargetConfig
} from '../config/index.ts'

/** The same pipeline with every path absolute. */
export function withAbsolutePaths(pipeline: PipelineConfig, folder: string): PipelineConfig {
  const { kafka, producer, dispatcher, lambda, operations } = pipeline
  return {
    ...pipeline,
    kafka: kafkaPaths(kafka, folder),
    operations: operationsPaths(operations, folder),
    console: consolePaths(pipeline.console, folder),
    producer: producer && producerPaths(producer, folder),
    dispatcher: dispatcher && dispatcherPaths(dispatcher, folder),
    lambda: lambda && {
      ...lambda,
      functions: Object.fromEntries(
        Object.entries(lambda.functions).map(([name, each]) => [name, handlerPath(each, folder)])
      )
    }
  }
}

function producerPaths(producer: ProducerConfig, folder: string): ProducerConfig {
  const { sources, spill, validate, route, partitioner } = producer
  const checkPath = (check: EventCheckConfig): EventCheckConfig =>
    check.schemaFile === undefined ? check : { ...check, schemaFile: resolve(folder, check.schemaFile) }
  const topics = Object.entries(validate.topics).map(([topic, check]) => [topic, checkPath(check)] as const)
  return {
    ...producer,
    sources: sources.map(source => sourcePath(source, folder)),
    validate: { ...validate, topics: Object.fromEntries(topics) },
    route:
      'rules' in route
        ? {
            ...route,
            rules: route.rules.map(rule => ({ ...rule, validate: rule.validate && checkPath(rule.validate) }))
          }
        : route,
    partitioner: partitioner && { ...partitioner, file: resolve(folder, partitioner.file) },
    spill: spill && { ...spill, dir: resolve(folder, spill.dir) }
  }
}

function operationsPaths(operations: OperationsConfig, folder: string): OperationsConfig {
  const { cost, fleet, scale } = operations
  return {
    ...operations,
    cost: { ...cost, prices: cost.prices && resolve(folder, cost.prices) },
    scale: { ...scale, stateFile: resolve(folder, scale.stateFile) },
    fleet: fleet && fleetPaths(fleet, folder)
  }
}

function fleetPaths(fleet: FleetConfig, folder: string): FleetConfig {
  if (fleet.type === 'local') return { ...fleet, socket: resolve(folder, fleet.socket) }
  if (fleet.type !== 'kubernetes' || fleet.kubeconfig === undefined) return fleet
  return { ...fleet, kubeconfig: resolve(folder, fleet.kubeconfig) }
}

function kafkaPaths(kafka: KafkaConfig, folder: string): KafkaConfig {
  const embedded = { ...kafka.embedded, dataDir: resolve(folder, kafka.embedded.dataDir) }
  const { tls, sasl } = kafka
  return {
    ...kafka,
    embedded,
    tls: typeof tls === 'object' ? withAbsoluteFiles(tls, folder) : tls,
    sasl: sasl && withAbsoluteFiles({ ...sasl, ...tokenFile(sasl, folder) }, folder)
  }
}

function consolePaths(settings: ConsoleConfig, folder: string): ConsoleConfig {
  const { tls, auth, audit } = settings
  return {
    ...settings,
    tls: tls && { cert: resolve(folder, tls.cert), key: resolve(folder, tls.key) },
    audit: { ...audit, file: resolve(folder, audit.file) },
    auth: {
      ...auth,
      tokens: auth.tokens.map(each => withAbsoluteFiles(each, folder)),
      oidc: auth.oidc && withAbsoluteFiles(auth.oidc, folder)
    },
    instances: settings.instances.map(each => withAbsoluteFiles(each, folder))
  }
}

function tokenFile(sasl: NonNullable<KafkaConfig['sasl']>, folder: string): { tokenFile?: string } {
  const file = sasl.mechanism === 'OAUTHBEARER' ? sasl.tokenFile : undefined
  return file === undefined ? {} : { tokenFile: resolve(folder, file) }
}

/** Settings that may name a file as `{ file }`. */
const places: readonly string[] =
  'ca cert key pfx passphrase username password credentials clientSecret token controlToken'.split(' ')

function withAbsoluteFiles<T extends object>(settings: T, folder: string): T {
  const absolute = ([name, value]: [string, unknown]): [string, unknown] => {
    const file: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'file') : undefined
    if (!places.includes(name) || typeof file !== 'string') return [name, value]
    return [name, { file: resolve(folder, file) }]
  }
  // The same names with values of the same types.
  return Object.fromEntries(Object.entries(settings).map(absolute)) as T
}

function sourcePath(source: SourceConfig, folder: string): SourceConfig {
  switch (source.type) {
    case 'file':
      return { ...source, path: resolve(folder, source.path), state: statePath(source.state, folder) }
    case 'stdin':
      return { ...source, state: statePath(source.state, folder) }
    case 'directory': {
      const moveTo = source.moveTo && resolve(folder, source.moveTo)
      return { ...source, path: resolve(folder, source.path), moveTo, state: statePath(source.state, folder) }
    }
    case 'follow':
      return { ...source, path: resolve(folder, source.path), state: statePath(source.state, folder) }
    case 'syslog':
      return { ...source, tls: source.tls && tlsPaths(source.tls, folder) }
    case 'http': {
      const { tls } = source
      const clientCa = tls?.clientCa && resolve(folder, tls.clientCa)
      return { ...source, tls: tls && { ...tlsPaths(tls, folder), clientCa } }
    }
    case 'module':
      return { ...source, file: resolve(folder, source.file) }
    case 'kafka':
      return { ...source, cluster: source.cluster && kafkaPaths(source.cluster, folder) }
    case 'generator':
    case 'kinesis':
    case 'sqs':
      return source
  }
}

function tlsPaths<T extends { readonly cert: string; readonly key: string; readonly ca?: string | undefined }>(
  tls: T,
  folder: string
): T {
  const ca = tls.ca && resolve(folder, tls.ca)
  return { ...tls, cert: resolve(folder, tls.cert), key: resolve(folder, tls.key), ca }
}

function statePath<S extends { readonly file: string }>(state: S | undefined, folder: string): S | undefined {
  return state && { ...state, file: resolve(folder, state.file) }
}

function dispatcherPaths(dispatcher: DispatcherConfig, folder: string): DispatcherConfig {
  const { target, transform, priorities } = dispatcher
  return {
    ...dispatcher,
    target: targetPath(target, folder),
    transform: transform && { ...transform, file: resolve(folder, transform.file) },
    priorities: priorities.map(each => ({ ...each, target: each.target && targetPath(each.target, folder) }))
  }
}

function targetPath(target: TargetConfig, folder: string): TargetConfig {
  if (target.type === 'module') return { ...target, file: resolve(folder, target.file) }
  if (target.type === 'topic' && target.file !== undefined) return { ...target, file: resolve(folder, target.file) }
  return target
}

function handlerPath(options: FunctionConfig, folder: string): FunctionConfig {
  const { layers, environmentFile, versions } = options
  type Located = { readonly handler?: string | undefined; readonly layers?: readonly string[] | undefined }
  const located = <T extends Located>(each: T): T => ({
    ...each,
    handler: each.handler?.startsWith('builtin:') === false ? resolve(folder, each.handler) : each.handler,
    layers: each.layers?.map(layer => resolve(folder, layer))
  })
  return {
    ...located({ ...options, layers }),
    environmentFile: environmentFile && resolve(folder, environmentFile),
    versions: Object.fromEntries(Object.entries(versions).map(([number, each]) => [number, located(each)]))
  }
}
