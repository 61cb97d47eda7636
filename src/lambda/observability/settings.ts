/** What a distributor tells CloudWatch and X-Ray: `distributor.observability`. */

import { headerProblem } from '../../core/index.ts'
import type { OtlpSettings } from './otlp-spans.ts'

/** Settings of what the function tells. */
export interface ObservabilitySettings {
  /** Lines of JSON by Powertools' Logger. Default `false`. */
  readonly logs?: boolean
  /** Metrics in CloudWatch's embedded format by Powertools' Metrics. Default `false`. */
  readonly metrics?:
    | false
    | {
        /** Namespace in CloudWatch. */
        readonly namespace: string
        /** Dimension `service`. Default: the function's name. */
        readonly service?: string
      }
  /** A subsegment of X-Ray for each request to a target. Needs `@aws-lambda-powertools/tracer`. Default `false`. */
  readonly traces?: boolean
  /** Spans of OpenTelemetry for each invocation and each request to a target, to a collector. Default: none. */
  readonly otlp?: OtlpSettings
}

/**
 * Every problem of `observability`, of any value; empty when it can work.
 *
 * Source of the namespace's form: CloudWatch user guide, "Namespaces".
 */
export function observabilityProblems(given: unknown): string[] {
  if (!isObject(given)) return ['is not an object']
  const problems = Object.keys(given)
    .filter(name => !MEMBERS.includes(name))
    .map(name => `${name}: is unknown; there are ${MEMBERS.join(', ')}`)
  const { logs, metrics, traces, otlp } = given
  if (otlp !== undefined) problems.push(...otlpProblems(otlp).map(each => `otlp${each}`))
  if (logs !== undefined && typeof logs !== 'boolean') problems.push('logs: is neither true nor false')
  if (traces !== undefined && typeof traces !== 'boolean') problems.push('traces: is neither true nor false')
  if (metrics === undefined || metrics === false) return problems
  if (!isObject(metrics)) return [...problems, 'metrics: is neither false nor an object with a namespace']
  const { namespace, service } = metrics
  if (typeof namespace !== 'string' || !/^[\w./#:-]{1,255}$/.test(namespace)) {
    problems.push('metrics.namespace: is not a namespace of CloudWatch')
  }
  if (service !== undefined && (typeof service !== 'string' || service === '' || service.length > 255)) {
    problems.push('metrics.service: is not a name of 1 to 255 characters')
  }
  for (const name of Object.keys(metrics)) {
    if (name !== 'namespace' && name !== 'service') problems.push(`metrics.${name}: is unknown`)
  }
  return problems
}

const MEMBERS: readonly string[] = ['logs', 'metrics', 'traces', 'otlp']
const OTLP_MEMBERS: readonly string[] = ['url', 'headers', 'ratio', 'slowMs']

function otlpProblems(given: unknown): string[] {
  if (!isObject(given)) return [': is not an object with a url']
  const problems = Object.keys(given).flatMap(name => (OTLP_MEMBERS.includes(name) ? [] : [`.${name}: is unknown`]))
  const { url, headers = {}, ratio, slowMs } = given
  const protocol = typeof url === 'string' ? URL.parse(url)?.protocol : undefined
  if (protocol !== 'http:' && protocol !== 'https:') problems.push('.url: is not an http or https address')
  if (!isObject(headers)) problems.push('.headers: are not names and texts of HTTP headers')
  else {
    for (const [name, value] of Object.entries(headers)) {
      const isVariable = isObject(value) && typeof value['env'] === 'string'
      const problem = isVariable
        ? headerProblem(name, '')
        : headerProblem(name, typeof value === 'string' ? value : '\n')
      if (problem !== undefined) problems.push(`.headers.${name}: ${problem}`)
    }
  }
  if (ratio !== undefined && !(typeof ratio === 'number' && ratio >= 0 && ratio <= 1)) {
    problems.push('.ratio: is not a number from 0 to 1')
  }
  if (slowMs !== undefined && !(Number.isInteger(slowMs) && Number(slowMs) >= 1)) {
    problems.push('.slowMs: is not an integer of at least 1')
  }
  return problems
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
