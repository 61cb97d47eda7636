/**
 * The operations beside Invoke: what there is, in which versions, and how much
 * of it may run. What changes a function's code or rights is absent.
 *
 * - `GET /2015-03-31/functions[/{name}[/configuration|versions|aliases[/{alias}]]]`
 * - `GET`, `PUT`, `DELETE /2017-10-31|2019-09-30/functions/{name}/concurrency`
 * - `GET`, `PUT`, `POST`, `DELETE /2019-09-25/functions/{name}/event-invoke-config[/list]`
 *
 * Source: Lambda API reference.
 */

import { messageOf } from '../../core/index.ts'
import type { ApiBackend, ServedFunction } from './api-backend.ts'
import * as errors from './api-errors.ts'
import { answer, answerError, answerJson, type Exchange } from './api-exchange.ts'
import { routeEventConfig } from './event-config-operations.ts'
import { type FunctionReference, functionArn, parseFunctionReference } from './function-name.ts'
import { invoke, invokeStreaming, type InvokeTarget } from './invoke-operations.ts'
import { readBody } from './request-body.ts'
import type { AliasSettings, VersionSettings } from './settings.ts'

/** A path below `functions/`. */
export interface FunctionPath {
  readonly date: string
  readonly method: string
  readonly segment: string
  readonly operation: string
}

/** Page sizes of lists. Source: Lambda API reference, `MaxItems`. */
const PAGE_DEFAULT = 50
const PAGE_MAX = 10_000

/** ListFunctions. */
export function routeList(backend: ApiBackend, exchange: Exchange): void {
  const isAll = exchange.query.get('FunctionVersion') === 'ALL'
  const found = [...backend.functions.values()].flatMap(served => {
    const { latest, versions } = served.func.settings
    return (isAll ? [latest, ...versions.values()] : [latest]).map(each => configuration(served, each, isAll))
  })
  answerPage(exchange, 'Functions', found)
}

/** Everything that names a function. */
export async function routeFunction(backend: ApiBackend, exchange: Exchange, path: FunctionPath): Promise<void> {
  const run = operationOf(path)
  if (run === undefined) return answerError(exchange, errors.unknownOperation())
  const reference = decodeReference(path.segment)
  if (reference === undefined) return answerError(exchange, errors.invalidFunctionName())
  const asked = exchange.query.get('Qualifier') ?? undefined
  if (reference.qualifier !== undefined && asked !== undefined && asked !== reference.qualifier) {
    return answerError(exchange, errors.qualifierMismatch())
  }
  const qualifier = reference.qualifier ?? asked
  const { region, accountId } = backend.settings
  const plain = functionArn(region, accountId, reference.name)
  const arn = qualifier === undefined ? plain : `${plain}:${qualifier}`
  const served = backend.functions.get(reference.name)
  if (served?.func.find(qualifier) === undefined) return answerError(exchange, errors.resourceNotFound(arn))
  await run(backend, exchange, { ...served, qualifier, arn })
}

type Operation = (backend: ApiBackend, exchange: Exchange, target: InvokeTarget) => Promise<void> | void

function operationOf({ date, method, operation }: FunctionPath): Operation | undefined {
  if (operation === 'event-invoke-config' || operation === 'event-invoke-config/list') {
    const isList = operation.endsWith('/list')
    return date === '2019-09-25' ? (_, exchange, target) => routeEventConfig(exchange, { target, isList }) : undefined
  }
  const alias = /^aliases\/([^/]+)$/.exec(operation)?.[1]
  if (alias !== undefined && method === 'GET') return (_, exchange, target) => getAlias(exchange, target, alias)
  return OPERATIONS[`${method} ${operation}`]?.[date]
}

const OPERATIONS: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  'POST invocations': { '2015-03-31': invoke },
  'POST response-streaming-invocations': { '2021-11-15': invokeStreaming },
  'GET ': { '2015-03-31': getFunction },
  'GET configuration': { '2015-03-31': getConfiguration },
  'GET versions': { '2015-03-31': listVersions },
  'GET aliases': { '2015-03-31': listAliases },
  'GET concurrency': { '2019-09-30': getConcurrency },
  'PUT concurrency': { '2017-10-31': putConcurrency },
  'DELETE concurrency': { '2017-10-31': deleteConcurrency }
}

function decodeReference(segment: string): FunctionReference | undefined {
  try {
    return parseFunctionReference(decodeURIComponent(segment))
  } catch {
    return undefined // a stray % is not a name either
  }
}

function versionOf({ func, qualifier }: InvokeTarget): VersionSettings {
  return func.find(qualifier) ?? func.settings.latest
}

function getFunction(backend: ApiBackend, exchange: Exchange, target: InvokeTarget): void {
  answerJson(exchange, 200, {
    Configuration: configuration(target, versionOf(target), target.qualifier !== undefined),
    Code: { RepositoryType: 'S3', Location: `file://${backend.settings.taskRoot}` },
    Concurrency: { ReservedConcurrentExecutions: target.func.concurrency }
  })
}

function getConfiguration(_: ApiBackend, exchange: Exchange, target: InvokeTarget): void {
  answerJson(exchange, 200, configuration(target, versionOf(target), target.qualifier !== undefined))
}

function listVersions(_: ApiBackend, exchange: Exchange, target: InvokeTarget): void {
  const { latest, versions } = target.func.settings
  const all = [latest, ...versions.values()].map(each => configuration(target, each, true))
  answerPage(exchange, 'Versions', all)
}

function listAliases(_: ApiBackend, exchange: Exchange, target: InvokeTarget): void {
  const wanted = exchange.query.get('FunctionVersion')
  const all = [...target.func.settings.aliases].filter(([, { version }]) => wanted === null || version === wanted)
  answerPage(
    exchange,
    'Aliases',
    all.map(([name, alias]) => aliasBody(target, name, alias))
  )
}

function getAlias(exchange: Exchange, target: InvokeTarget, name: string): void {
  const alias = target.func.settings.aliases.get(name)
  if (alias === undefined) return answerError(exchange, errors.aliasNotFound(`${target.func.settings.arn}:${name}`))
  answerJson(exchange, 200, aliasBody(target, name, alias))
}

function aliasBody({ func }: InvokeTarget, name: string, { version, weights }: AliasSettings): object {
  const routing = Object.keys(weights).length === 0 ? {} : { RoutingConfig: { AdditionalVersionWeights: weights } }
  const body = { AliasArn: `${func.settings.arn}:${name}`, Name: name, FunctionVersion: version, Description: '' }
  return { ...body, ...routing }
}

function getConcurrency(_: ApiBackend, exchange: Exchange, { func }: InvokeTarget): void {
  answerJson(exchange, 200, { ReservedConcurrentExecutions: func.concurrency })
}

async function putConcurrency(backend: ApiBackend, exchange: Exchange, { func }: InvokeTarget): Promise<void> {
  const given = await readJson(backend, exchange)
  const value =
    typeof given === 'object' && given !== null && 'ReservedConcurrentExecutions' in given
      ? given.ReservedConcurrentExecutions
      : undefined
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 1_000) {
    const text = `ReservedConcurrentExecutions: ${String(value)} is not an integer from 0 to 1000`
    return answerError(exchange, errors.invalidParameter(text))
  }
  func.concurrency = value
  answerJson(exchange, 200, { ReservedConcurrentExecutions: value })
}

function deleteConcurrency(_: ApiBackend, exchange: Exchange, { func }: InvokeTarget): void {
  // Without one of its own it has what the pipeline file gave it: a machine has no account to fall back to.
  func.concurrency = func.settings.concurrency
  answer(exchange, { status: 204 })
}

/** Reads a small JSON body; `undefined` if it is none. */
async function readJson(backend: ApiBackend, exchange: Exchange): Promise<unknown> {
  const body = await readBody(exchange.request, { bytesMax: 4_096, budget: backend.budget })
  if (body.kind !== 'body') return undefined
  backend.budget.release(body.payload.byteLength)
  try {
    return JSON.parse(Buffer.from(body.payload).toString('utf8'))
  } catch (error) {
    return messageOf(error)
  }
}

function configuration({ func }: ServedFunction, version: VersionSettings, isQualified: boolean): object {
  const { arn, events } = func.settings
  const { deadLetterTarget } = events
  return {
    FunctionName: version.name,
    FunctionArn: isQualified ? `${arn}:${version.version}` : arn,
    Runtime: `nodejs${process.versions.node.split('.')[0]}.x`,
    Role: `arn:aws:iam::${arn.split(':')[4]}:role/comporta-local`,
    Handler: version.handler,
    CodeSize: 0,
    Description: '',
    Timeout: Math.ceil(version.timeoutMs / 1000),
    MemorySize: version.memoryMb,
    Version: version.version,
    ...(deadLetterTarget === undefined ? {} : { DeadLetterConfig: { TargetArn: deadLetterTarget } }),
    TracingConfig: { Mode: 'PassThrough' },
    State: 'Active',
    LastUpdateStatus: 'Successful',
    PackageType: 'Zip',
    Architectures: [process.arch === 'arm64' ? 'arm64' : 'x86_64'],
    LoggingConfig: {
      LogFormat: version.logFormat === 'json' ? 'JSON' : 'Text',
      LogGroup: `/aws/lambda/${version.name}`
    }
  }
}

/** One page of a list; the marker is the place of the next item. */
function answerPage(exchange: Exchange, name: string, all: readonly object[]): void {
  const size = Number(exchange.query.get('MaxItems') ?? PAGE_DEFAULT)
  if (!Number.isInteger(size) || size < 1 || size > PAGE_MAX) {
    const text = `MaxItems: ${exchange.query.get('MaxItems')} is not an integer from 1 to ${PAGE_MAX}`
    return answerError(exchange, errors.invalidParameter(text))
  }
  const marker = exchange.query.get('Marker') ?? ''
  const start = marker === '' ? 0 : Number(marker)
  if (!Number.isInteger(start) || start < 0) {
    return answerError(exchange, errors.invalidParameter('Marker: not one that this API gave'))
  }
  const page = all.slice(start, start + size)
  const next = start + size < all.length ? { NextMarker: String(start + size) } : {}
  answerJson(exchange, 200, { [name]: page, ...next })
}
