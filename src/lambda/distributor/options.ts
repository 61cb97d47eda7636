/**
 * Options of the distributor: which events go to which services.
 *
 * Checked by hand and not by a schema library, because the function is loaded
 * on every cold start and is meant to be bundled into one small file.
 */

import { type Clock, PipelineError, systemClock } from '../../core/index.ts'
import type { HttpClient } from './http-client.ts'

/** The environment variable that carries the options of `builtin:distributor`, as JSON. */
export const DISTRIBUTOR_VARIABLE = 'COMPORTA_DISTRIBUTOR'

/** Less time than this is not worth a request. */
export const REQUEST_MS_MIN = 20
const RESERVE_MS = 250

/** One downstream service. */
export interface ServiceOptions {
  /** Address that batches are posted to: `http:` or `https:`. */
  readonly url: string
  /** Longest wait for this service's answer, in milliseconds. Default: the distributor's `timeoutMs`. */
  readonly timeoutMs?: number
  /** Headers of every request, for example `authorization`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** The services for some values of the routing field; several are a fan-out. */
export interface RouteOptions {
  /** Values of the field. `300` and `"300"` are the same. */
  readonly values: readonly (string | number)[]
  /** Names of services. */
  readonly services: readonly string[]
}

/** The part of the options that is plain data and can travel as JSON. */
export interface DistributorRouting {
  /** Field of the event that routes are chosen by; a dot goes into an object (`header.code`). Default `codigo`. */
  readonly field?: string
  /** Services by name: an address, or an object with more. */
  readonly services: Readonly<Record<string, string | ServiceOptions>>
  readonly routes?: readonly RouteOptions[]
  /**
   * What happens to all other events: services to send them to, or `deadLetter` or `skip` as the answer for them.
   * Default `deadLetter`.
   */
  readonly otherwise?: 'deadLetter' | 'skip' | readonly string[]
  /** Longest wait for one answer of a service, in milliseconds. Default 5_000. */
  readonly timeoutMs?: number
  /** Kept free at the end of the invocation, in milliseconds: no request goes on past it. Default 250. */
  readonly reserveMs?: number
  /** Most records in one request. Default 500. */
  readonly recordsMax?: number
  /** Most bytes of records in one request; one larger record goes alone. Default 1_048_576. */
  readonly bytesMax?: number
  /**
   * Which later records wait behind one that must be tried again: those of the same service and key (`key`; a record
   * without a key waits for none, as in Kafka), or all of the same service (`partition`). An event without a list of
   * keys is always ordered by partition. Default `key`.
   */
  readonly order?: 'partition' | 'key'
  /** Most requests that look for the bad records of one refused request. Default 200. */
  readonly bisectRequestsMax?: number
}

/** Everything `createDistributor` takes. */
export interface DistributorOptions extends DistributorRouting {
  /** Sends the requests. Default: keep-alive connections by undici, at most 16 per service. */
  readonly http?: HttpClient
  /** Most outcomes remembered for records that will come again. Default 50_000. */
  readonly ledgerMax?: number
  /** How long they are remembered, in milliseconds. Default 300_000. */
  readonly ledgerTtlMs?: number
  readonly clock?: Clock
}

/** A service with every default filled in. */
export interface Service {
  readonly name: string
  readonly url: string
  readonly timeoutMs: number
  readonly headers: Readonly<Record<string, string>>
}

/** The options with every default filled in and names resolved. */
export interface DistributorSettings {
  readonly fieldPath: readonly string[]
  readonly routes: ReadonlyMap<string, readonly Service[]>
  readonly otherwise: 'deadLetter' | 'skip' | readonly Service[]
  readonly reserveMs: number
  readonly recordsMax: number
  readonly bytesMax: number
  readonly order: 'partition' | 'key'
  readonly bisectRequestsMax: number
  readonly ledgerMax: number
  readonly ledgerTtlMs: number
  readonly clock: Clock
}

/**
 * Fills in the defaults.
 *
 * @throws PipelineError `ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID` with every problem.
 */
export function distributorSettings(options: DistributorOptions): DistributorSettings {
  const problems = distributorOptionProblems(options)
  if (problems.length > 0) {
    throw new PipelineError('ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID', `distributor options: ${problems.join('; ')}`, {
      fields: { problems }
    })
  }
  const services = new Map(
    Object.entries(options.services).map(([name, each]) => [name, serviceOf(name, each, options)])
  )
  const resolve = (names: readonly string[]): Service[] => {
    const found = [...new Set(names)].map(name => services.get(name))
    return found.filter(each => each !== undefined)
  }
  const routes = new Map<string, readonly Service[]>()
  for (const route of options.routes ?? []) {
    const targets = resolve(route.services)
    // A value named by two routes goes to the services of both.
    for (const value of route.values) {
      routes.set(String(value), [...new Set([...(routes.get(String(value)) ?? []), ...targets])])
    }
  }
  const otherwise = options.otherwise ?? 'deadLetter'
  return {
    fieldPath: (options.field ?? 'codigo').split('.'),
    routes,
    otherwise: typeof otherwise === 'string' ? otherwise : resolve(otherwise),
    reserveMs: options.reserveMs ?? RESERVE_MS,
    recordsMax: options.recordsMax ?? 500,
    bytesMax: options.bytesMax ?? 1_048_576,
    order: options.order ?? 'key',
    bisectRequestsMax: options.bisectRequestsMax ?? 200,
    ledgerMax: options.ledgerMax ?? 50_000,
    ledgerTtlMs: options.ledgerTtlMs ?? 300_000,
    clock: options.clock ?? systemClock
  }
}

function serviceOf(name: string, given: string | ServiceOptions, options: DistributorOptions): Service {
  const service = typeof given === 'string' ? { url: given } : given
  return {
    name,
    url: service.url,
    timeoutMs: service.timeoutMs ?? options.timeoutMs ?? 5_000,
    headers: service.headers ?? {}
  }
}

/** Shortest invocation, in milliseconds, in which a request would be sent at all. */
export function requestTimeNeededMs(options: unknown): number {
  const reserveMs = isRecord(options) ? options['reserveMs'] : undefined
  return (typeof reserveMs === 'number' ? reserveMs : RESERVE_MS) + REQUEST_MS_MIN
}

/** Every problem of the options, of any value; empty when they can work. */
export function distributorOptionProblems(given: unknown): string[] {
  if (!isRecord(given)) return ['options: is not an object']
  const problems: string[] = []
  const services = isRecord(given['services']) ? given['services'] : {}
  if (Object.keys(services).length === 0) problems.push('services: at least one is needed')
  for (const [name, service] of Object.entries(services)) checkService(problems, name, service)
  if (given['field'] !== undefined && (typeof given['field'] !== 'string' || given['field'] === '')) {
    problems.push('field: is not a name')
  }
  checkRoutes(problems, given['routes'], services)
  const { otherwise, order } = given
  if (Array.isArray(otherwise)) checkNames(problems, { path: 'otherwise', names: otherwise, services })
  else if (otherwise !== undefined && otherwise !== 'deadLetter' && otherwise !== 'skip') {
    problems.push('otherwise: is neither deadLetter, skip nor a list of services')
  }
  if (order !== undefined && order !== 'partition' && order !== 'key')
    problems.push('order: is neither partition nor key')
  for (const name of ['timeoutMs', 'recordsMax', 'bytesMax', 'bisectRequestsMax', 'ledgerMax', 'ledgerTtlMs']) {
    checkCount(problems, { path: name, value: given[name], min: 1 })
  }
  checkCount(problems, { path: 'reserveMs', value: given['reserveMs'], min: 0 })
  return problems
}

function checkService(problems: string[], name: string, given: unknown): void {
  const service = typeof given === 'string' ? { url: given } : given
  const path = `services.${name}`
  if (!isRecord(service)) {
    problems.push(`${path}: is neither an address nor an object with url`)
    return
  }
  // It becomes part of a header.
  if (!/^[\x21-\x7e]+$/.test(name)) problems.push(`${path}: a name is made of printable ASCII without spaces`)
  const { url, timeoutMs, headers } = service
  const isHttp = typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  if (!isHttp) problems.push(`${path}: is not an http or https address`)
  checkCount(problems, { path: `${path}.timeoutMs`, value: timeoutMs, min: 1 })
  if (headers !== undefined && !isHeaders(headers))
    problems.push(`${path}.headers: are not names and texts of HTTP headers`)
}

/** Source: RFC 9110 §5.1, §5.5. */
function isHeaders(value: unknown): boolean {
  if (!isRecord(value)) return false
  return Object.entries(value).every(
    ([name, text]) =>
      /^[\w!#$%&'*+.^`|~-]+$/.test(name) && typeof text === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(text)
  )
}

function checkRoutes(problems: string[], routes: unknown, services: Record<string, unknown>): void {
  if (routes === undefined) return
  if (!Array.isArray(routes)) {
    problems.push('routes: is not a list')
    return
  }
  for (const [index, route] of routes.entries()) {
    const path = `routes.${index}`
    const values: unknown = isRecord(route) ? route['values'] : undefined
    if (!isRecord(route) || !Array.isArray(values) || values.length === 0) {
      problems.push(`${path}: has no values`)
      continue
    }
    for (const value of values) {
      if (typeof value !== 'string' && typeof value !== 'number') problems.push(`${path}.values: not a text or number`)
    }
    const names = Array.isArray(route['services']) ? route['services'] : []
    checkNames(problems, { path: `${path}.services`, names, services })
  }
}

interface NamesRule {
  readonly path: string
  readonly names: readonly unknown[]
  readonly services: Record<string, unknown>
}

function checkNames(problems: string[], { path, names, services }: NamesRule): void {
  if (names.length === 0) problems.push(`${path}: is empty`)
  for (const name of names) {
    if (typeof name === 'string' && Object.hasOwn(services, name)) continue
    problems.push(`${path}: "${String(name)}" is not one of services (${Object.keys(services).join(', ')})`)
  }
}

interface CountRule {
  readonly path: string
  readonly value: unknown
  readonly min: number
}

function checkCount(problems: string[], { path, value, min }: CountRule): void {
  if (value === undefined || (Number.isInteger(value) && Number(value) >= min)) return
  problems.push(`${path}: is not an integer of at least ${min}`)
}

/** Whether a value is an object with named members. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
