/**
 * OpenTelemetry's own environment variables, as far as they change how spans are recorded and sent. What is wrong in
 * one is told and has no effect, as its specification asks for.
 *
 * Source: OpenTelemetry specification, "Environment Variable Specification".
 */

import type { TelemetryConfig } from '../../config/index.ts'
import type { SamplingOptions, TracesOptions } from '../../telemetry/index.ts'

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>

/** How spans are recorded, sent and handed on. */
export interface TraceSettings {
  readonly traces: Pick<
    TracesOptions,
    'url' | 'headers' | 'timeoutMs' | 'compression' | 'sampling' | 'resource' | 'queueMax' | 'delayMs'
  >
  readonly isXrayPropagated: boolean
}

/** As `telemetry.traces.queueMax`: what waits is memory. */
const QUEUE_MAX = 1_000_000
const DEFAULT_URL = 'http://localhost:4318/v1/traces'

/**
 * What the section `telemetry` and the environment ask for together; `undefined` if that is no traces.
 *
 * @param role - Part of this process in the pipeline; becomes `service.name` where nobody says otherwise.
 * @param onProblem - Hears of variables that are not understood.
 */
export function traceSettings(
  telemetry: TelemetryConfig,
  { role, environment }: { readonly role: string; readonly environment: Environment },
  onProblem: (text: string) => void = () => undefined
): TraceSettings | undefined {
  const { traces } = telemetry
  if (!isOn(traces.exporter, environment, onProblem)) return undefined
  const delayMs = wholeNumber(environment, 'OTEL_BSP_SCHEDULE_DELAY', { onProblem })
  return {
    traces: {
      url: traces.endpoint ?? urlOf(environment, onProblem),
      headers: traces.headers,
      timeoutMs: traces.timeoutMs,
      compression: traces.compression === 'none' ? compressionOf(environment) : traces.compression,
      sampling: samplingOf(traces.sampling, environment, onProblem),
      resource: resourceOf(telemetry.resource, role, environment),
      queueMax: wholeNumber(environment, 'OTEL_BSP_MAX_QUEUE_SIZE', { onProblem, max: QUEUE_MAX }) ?? traces.queueMax,
      ...(delayMs === undefined ? {} : { delayMs })
    },
    isXrayPropagated: traces.propagateXray || list(environment['OTEL_PROPAGATORS']).includes('xray')
  }
}

function isOn(
  exporter: 'none' | 'otlp' | undefined,
  environment: Environment,
  onProblem: (text: string) => void
): boolean {
  if (environment['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false
  const asked = environment['OTEL_TRACES_EXPORTER']
  if (asked === 'otlp' || asked === 'none') return asked === 'otlp'
  if (asked !== undefined && asked !== '') onProblem(`OTEL_TRACES_EXPORTER: there are otlp and none, not ${asked}`)
  if (exporter !== undefined) return exporter === 'otlp'
  return endpointOf(environment, 'traces', onProblem) !== undefined
}

function urlOf(environment: Environment, onProblem: (text: string) => void): string {
  return endpointOf(environment, 'traces', onProblem) ?? DEFAULT_URL
}

/**
 * Where a signal goes by the environment; `undefined` if it does not say, or not what an address is. The path is added
 * to the general address only. Source: OTLP exporter specification, "Endpoint URLs for OTLP/HTTP".
 */
export function endpointOf(
  environment: Environment,
  signal: 'traces' | 'metrics',
  onProblem: (text: string) => void
): string | undefined {
  const own = addressIn(environment, `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`, onProblem)
  if (own !== undefined) return own
  const general = addressIn(environment, 'OTEL_EXPORTER_OTLP_ENDPOINT', onProblem)
  return general === undefined ? undefined : `${general.replace(/\/$/, '')}/v1/${signal}`
}

/** What is wrong is not repeated: an address may hold a password. */
function addressIn(environment: Environment, name: string, onProblem: (text: string) => void): string | undefined {
  const text = environment[name] ?? ''
  if (text === '') return undefined
  const protocol = URL.parse(text)?.protocol
  if (protocol === 'http:' || protocol === 'https:') return text
  onProblem(`${name}: is not an http or https address, and has no effect`)
  return undefined
}

function compressionOf(environment: Environment): 'none' | 'gzip' {
  const asked = environment['OTEL_EXPORTER_OTLP_TRACES_COMPRESSION'] ?? environment['OTEL_EXPORTER_OTLP_COMPRESSION']
  return asked === 'gzip' ? 'gzip' : 'none'
}

/** Names of samplers: share, and whether the sender's decision counts. */
const SAMPLERS: Readonly<Record<string, { readonly ratio?: number; readonly isParentBased: boolean }>> = {
  always_on: { ratio: 1, isParentBased: false },
  always_off: { ratio: 0, isParentBased: false },
  traceidratio: { isParentBased: false },
  parentbased_always_on: { ratio: 1, isParentBased: true },
  parentbased_always_off: { ratio: 0, isParentBased: true },
  parentbased_traceidratio: { isParentBased: true }
}

function samplingOf(
  { ratio, parentBased, keep, slowMs, perSecondMax }: TelemetryConfig['traces']['sampling'],
  environment: Environment,
  onProblem: (text: string) => void
): SamplingOptions {
  const own = { keep, slowMs, perSecondMax }
  const name = environment['OTEL_TRACES_SAMPLER'] ?? ''
  const asked = SAMPLERS[name]
  if (name !== '' && asked === undefined) {
    onProblem(`OTEL_TRACES_SAMPLER: there are ${Object.keys(SAMPLERS).join(', ')}, not ${name}`)
  }
  if (asked === undefined) return { ...own, ratio, isParentBased: parentBased }
  return { ...own, isParentBased: asked.isParentBased, ratio: asked.ratio ?? argumentOf(environment, onProblem) }
}

/** Share of the samplers by trace id. Source: as above, "OTEL_TRACES_SAMPLER_ARG": 1.0 where it is missing or wrong. */
function argumentOf(environment: Environment, onProblem: (text: string) => void): number {
  const text = environment['OTEL_TRACES_SAMPLER_ARG'] ?? ''
  if (text === '') return 1
  const ratio = Number(text)
  if (ratio >= 0 && ratio <= 1) return ratio
  onProblem(`OTEL_TRACES_SAMPLER_ARG: is not a number from 0 to 1: ${text}`)
  return 1
}

/** Attributes of the process. */
export function resourceOf(
  configured: Readonly<Record<string, string>>,
  role: string,
  environment: Environment
): Record<string, string> {
  const name = environment['OTEL_SERVICE_NAME'] ?? ''
  return {
    'service.name': `comporta-${role}`,
    'service.instance.id': `${role}-${process.pid}`,
    ...configured,
    ...attributesIn(environment['OTEL_RESOURCE_ATTRIBUTES'] ?? ''),
    ...(name === '' ? {} : { 'service.name': name })
  }
}

/** `key=value` by commas, percent-encoded. What is wrong is left out. */
function attributesIn(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const member of list(text)) {
    const equalsAt = member.indexOf('=')
    if (equalsAt < 1) continue
    try {
      found[member.slice(0, equalsAt).trim()] = decodeURIComponent(member.slice(equalsAt + 1).trim())
    } catch {
      // Not percent-encoded: the specification has the member left out.
    }
  }
  return found
}

function list(text = ''): string[] {
  return text
    .split(',')
    .map(each => each.trim())
    .filter(each => each !== '')
}

/** Most milliseconds that a timer can wait: with more it would fire at once, again and again. */
const TIMER_MS_MAX = 2_147_483_647

/** A whole number of a variable; `undefined` if there is none, or not one from 1 to `max`. */
export function wholeNumber(
  environment: Environment,
  name: string,
  { onProblem, max = TIMER_MS_MAX }: { readonly onProblem: (text: string) => void; readonly max?: number }
): number | undefined {
  const text = environment[name] ?? ''
  if (text === '') return undefined
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= max) return number
  onProblem(`${name}: is not a whole number from 1 to ${max}: ${text}`)
  return undefined
}
