/**
 * Asks the processes of a pipeline how they are, after each look at the cluster.
 *
 * Each is asked over HTTP, all at once, with a time limit: one that hangs keeps
 * neither the others nor the console waiting. What one last said is kept with
 * its time; what is gone from the list is forgotten.
 */

import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import { answerText, withDeadline } from '../../ops/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { World } from '../world/world-types.ts'
import type { Instance, InstanceLook, InstanceWatch } from './instance-types.ts'
import { readPrometheusText } from './prometheus-text.ts'

/** What a watch is made from. */
export interface InstanceWatchOptions {
  /** Read anew at each look: processes come and go. */
  readonly instances: () => readonly Instance[]
  /** Whose looks are followed. */
  readonly world: Pick<World, 'onLook'>
  readonly clock: Clock
  readonly logger: Logger
}

const TIMEOUT_MS = 2000
const CHARACTERS_MAX = 8_388_608
/** Processes that are asked at most. */
const INSTANCES_MAX = 200

/** Starts to watch. */
export function createInstanceWatch(options: InstanceWatchOptions): InstanceWatch {
  const { clock, logger } = options
  const end = new AbortController()
  let looks: readonly InstanceLook[] = []
  let running: Promise<void> | undefined
  const lookAtAll = async (): Promise<void> => {
    const asked = options.instances().slice(0, INSTANCES_MAX)
    looks = await Promise.all(asked.map(instance => lookAt(instance, clock, end.signal)))
  }
  const stopListening = options.world.onLook(() => {
    // Slower than the looks: the next one asks again.
    if (running !== undefined || end.signal.aborted) return
    running = lookAtAll()
      .catch((error: unknown) => logger.warn({ error: messageOf(error) }, 'processes could not be asked'))
      .finally(() => {
        running = undefined
      })
  })
  return {
    latest: () => looks,
    control: async (instance, order, at) => await control(instance, { order, at, clock, signal: end.signal }),
    close: async () => {
      stopListening()
      end.abort()
      await running
    }
  }
}

async function lookAt(instance: Instance, clock: Clock, signal: AbortSignal): Promise<InstanceLook> {
  const get = async (path: string): Promise<Answer> =>
    await withDeadline({ clock, timeoutMs: TIMEOUT_MS, signal }, async limit => {
      const response = await fetch(new URL(path, instance.url), { signal: limit, redirect: 'error' })
      return { isOk: response.ok, text: await answerText(response, CHARACTERS_MAX) }
    })
  const takenAtMs = clock.now()
  try {
    const paths = ['/health/live', '/health/ready', '/describe', '/metrics'] as const
    const [live, ready, description, metrics] = await Promise.all(paths.map(get) as Answers)
    return {
      instance,
      takenAtMs,
      problem: ready.isOk ? null : reasonOf(ready.text),
      isReady: ready.isOk,
      startedAtMs: startedAtOf(jsonOf(live.text)),
      description: description.isOk ? jsonOf(description.text) : undefined,
      metrics: metrics.isOk ? readPrometheusText(metrics.text) : []
    }
  } catch (error) {
    return { instance, takenAtMs, problem: messageOf(error), ...NOTHING }
  }
}

type Answers = [Promise<Answer>, Promise<Answer>, Promise<Answer>, Promise<Answer>]

interface Answer {
  readonly isOk: boolean
  readonly text: string
}

const NOTHING = { isReady: false, description: undefined, metrics: [] } as const

function startedAtOf(live: unknown): number | undefined {
  const isTold = typeof live === 'object' && live !== null && 'startedAtMs' in live
  return isTold && typeof live.startedAtMs === 'number' ? live.startedAtMs : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The reason of an answer of `/health/ready`; or what it said. */
function reasonOf(text: string): string {
  const answer = jsonOf(text)
  if (typeof answer === 'object' && answer !== null && 'reason' in answer && typeof answer.reason === 'string') {
    return answer.reason
  }
  return text.slice(0, 200)
}

interface ControlRequest {
  readonly order: 'pause' | 'resume'
  readonly at: { readonly topic: string; readonly partition: number }
  readonly clock: Clock
  readonly signal: AbortSignal
}

async function control(instance: Instance, { order, at, clock, signal }: ControlRequest): Promise<void> {
  const { name, url, controlToken } = instance
  if (controlToken === undefined) {
    const remedy = 'start it with COMPORTA_CONTROL_TOKEN and name the token under console.instances'
    throw new PipelineError('ERR_CONSOLE_INSTANCE', `${name} takes no orders from here: ${remedy}`)
  }
  let answer: { readonly isOk: boolean; readonly status: number; readonly text: string }
  try {
    answer = await withDeadline({ clock, timeoutMs: TIMEOUT_MS, signal }, async limit => {
      const response = await fetch(new URL(`/control/${order}`, url), {
        method: 'POST',
        headers: { authorization: `Bearer ${controlToken}`, 'content-type': 'application/json' },
        body: JSON.stringify(at),
        signal: limit,
        redirect: 'error'
      })
      return { isOk: response.ok, status: response.status, text: await answerText(response, CHARACTERS_MAX) }
    })
  } catch (error) {
    throw new PipelineError('ERR_CONSOLE_INSTANCE', `${name} does not answer: ${messageOf(error)}`, { cause: error })
  }
  if (answer.isOk) return
  throw new PipelineError('ERR_CONSOLE_INSTANCE', `${name} refused with ${answer.status}: ${reasonOf(answer.text)}`)
}
