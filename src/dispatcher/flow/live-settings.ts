/**
 * The dispatcher's configuration, part of which may change while it runs.
 *
 * A change is checked as a whole, by the schema and the rules of the pipeline
 * file, before any of it holds. What is built into a running dispatcher (its
 * group, topics, target, formats) cannot change: the error names each of these
 * settings, and the old ones stay.
 */

import { dispatcherConfig, type DispatcherConfig, type DispatcherInput } from '../../config/index.ts'
import { PipelineError } from '../../core/index.ts'

/** Settings to change; what is left out stays, `null` goes back to the default. A list replaces the whole list. */
export type SettingsChange = {
  readonly [Name in keyof DispatcherInput]?: DispatcherInput[Name] extends readonly unknown[] | undefined
    ? DispatcherInput[Name]
    : Changed<DispatcherInput[Name]>
}
type Changed<T> = T extends object ? { readonly [Name in keyof T]?: Changed<T[Name]> | null } : T

/** Settings that hold from the next batch on. Of `priorities` only `share` and `concurrency` of each class. */
const LIVE: readonly RegExp[] = [
  /^batch\./,
  /^concurrency$/,
  /^adaptiveConcurrency\./,
  /^flow\./,
  /^breaker\./,
  /^priorities\.\d+\.(share|concurrency)$/,
  /^starvationMs$/,
  /^progressTimeoutMs$/
]

/** The configuration as it holds now. */
export class LiveSettings {
  #config: DispatcherConfig
  readonly #onChange: (config: DispatcherConfig) => void

  /** @param onChange - Told after each change. */
  constructor(config: DispatcherConfig, onChange: (config: DispatcherConfig) => void) {
    this.#config = config
    this.#onChange = onChange
  }

  /** What holds now. */
  get config(): DispatcherConfig {
    return this.#config
  }

  /**
   * Changes settings.
   *
   * @returns The settings that differ now, by their path.
   * @throws PipelineError `ERR_CONFIG_INVALID` with every problem, or `ERR_DISPATCHER_NOT_CHANGEABLE` with the settings
   *   that need a restart. Nothing has changed then.
   */
  update(change: SettingsChange): string[] {
    // A configuration as read is a valid input too: the schema's defaults are in it.
    return this.replace(dispatcherConfig(merged(this.#config, change) as DispatcherInput))
  }

  /** Takes a whole configuration that was checked; as `update` otherwise. */
  replace(config: DispatcherConfig): string[] {
    const paths = differences(this.#config, config)
    const fixed = paths.filter(path => !LIVE.some(live => live.test(path)))
    if (fixed.length > 0) {
      const message = `cannot change while the dispatcher runs: ${fixed.join(', ')}. Restart it to change them`
      throw new PipelineError('ERR_DISPATCHER_NOT_CHANGEABLE', message, { fields: { settings: fixed } })
    }
    if (paths.length === 0) return paths
    this.#config = config
    this.#onChange(config)
    return paths
  }
}

function merged(base: unknown, change: unknown): unknown {
  if (!isPlain(base) || !isPlain(change)) return change === undefined ? base : change
  const result: Record<string, unknown> = { ...base }
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete result[name]
    else result[name] = merged(base[name], value)
  }
  return result
}

/** Paths at which two values differ. */
function differences(before: unknown, after: unknown, path = ''): string[] {
  const isList = Array.isArray(before) && Array.isArray(after) && before.length === after.length
  if (!isList && !(isPlain(before) && isPlain(after))) {
    return JSON.stringify(before) === JSON.stringify(after) ? [] : leavesOf(before, after, path)
  }
  // Both are lists or both are plain objects, so both have names to look at.
  const left = before as Readonly<Record<string, unknown>>
  const right = after as Readonly<Record<string, unknown>>
  const names = new Set([...Object.keys(left), ...Object.keys(right)])
  return [...names].flatMap(name => differences(left[name], right[name], path === '' ? name : `${path}.${name}`))
}

/** A group of settings that comes or goes is named by what is in it. */
function leavesOf(before: unknown, after: unknown, path: string): string[] {
  const group = isPlain(before) && after === undefined ? before : isPlain(after) && before === undefined ? after : {}
  const names = Object.keys(group)
  return names.length === 0 ? [path] : names.map(name => `${path}.${name}`)
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
