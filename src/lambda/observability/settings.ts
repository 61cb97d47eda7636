/** What a distributor tells CloudWatch and X-Ray: `distributor.observability`. */

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
}

/**
 * Every problem of `observability`, of any value; empty when it can work.
 *
 * Source of the namespace's form: CloudWatch user guide, "Namespaces".
 */
export function observabilityProblems(given: unknown): string[] {
  if (!isObject(given)) return ['is not an object']
  const problems = Object.keys(given)
    .filter(name => name !== 'logs' && name !== 'metrics' && name !== 'traces')
    .map(name => `${name}: is unknown; there are logs, metrics, traces`)
  const { logs, metrics, traces } = given
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
