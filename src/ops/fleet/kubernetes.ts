/**
 * A Kubernetes Deployment, by its REST API.
 *
 * The size goes through the `scale` subresource. A rollout is Kubernetes' own,
 * held in between: the template gets a new `restartedAt` while the Deployment is
 * paused, and each `resume` lets one pod be replaced before it is paused again.
 * That needs a strategy that takes one pod at a time, which `check` looks at;
 * Kubernetes keeps to it even when this process is killed in the middle.
 *
 * Rights, in one namespace: `get` on `deployments`, `list` on `pods` to look;
 * `patch` on `deployments/scale` to scale; `patch` on `deployments` for a rollout,
 * `delete` on `pods` to replace a single one.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/
 */

import { type Clock, PipelineError } from '../../core/index.ts'
import type {
  FleetActuator,
  FleetInstance,
  FleetSize,
  InstanceState,
  KeeperRollout,
  KeeperRolloutStatus
} from './fleet.ts'
import type { KubeAccess } from './kube-access.ts'
import { kubeRequest } from './kube-request.ts'

/** Which Deployment. */
export interface KubernetesOptions {
  readonly access: KubeAccess
  readonly namespace: string
  readonly deployment: string
  readonly clock: Clock
}

/** Looks at a Deployment, scales it, rolls it. */
export class KubernetesFleet implements FleetActuator {
  readonly name: string
  readonly rollout: KeeperRollout
  readonly #options: KubernetesOptions

  constructor(options: KubernetesOptions) {
    this.#options = options
    const { namespace, deployment } = options
    this.name = `kubernetes/${namespace}/${deployment}`
    this.rollout = {
      check: signal => this.#check(signal),
      begin: signal => this.#begin(signal),
      status: signal => this.#status(signal),
      pause: signal => this.#patch({ spec: { paused: true } }, signal),
      resume: signal => this.#patch({ spec: { paused: false } }, signal),
      goBack: ['resume', 'undo']
        .map(word => `kubectl -n ${namespace} rollout ${word} deployment/${deployment}`)
        .join(' && ')
    }
  }

  async size(signal?: AbortSignal): Promise<FleetSize> {
    const { spec, status, metadata } = await this.#deployment(signal)
    const isSeen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0)
    // What the controller has not looked at yet says nothing of the pods to come.
    const running = isSeen ? (status.readyReplicas ?? 0) : Math.min(status.readyReplicas ?? 0, spec.replicas ?? 1)
    return { wanted: spec.replicas ?? 1, running, min: undefined, max: undefined }
  }

  async resize(count: number, signal?: AbortSignal): Promise<void> {
    await this.#ask('PATCH', { path: `${this.#path}/scale`, body: { spec: { replicas: count } }, signal })
  }

  async instances(signal?: AbortSignal): Promise<readonly FleetInstance[]> {
    const { spec } = await this.#deployment(signal)
    const selector = selectorOf(spec.selector)
    if (selector === '') throw new PipelineError('ERR_OPS_REFUSED', `${this.name} selects no pods`)
    const path = `/api/v1/namespaces/${this.#namespace}/pods?labelSelector=${encodeURIComponent(selector)}`
    const { items = [] } = (await this.#ask('GET', { path, signal })) as { items?: readonly Pod[] }
    // Pods that have ended for good are listed until somebody removes them: the Deployment does not count them either.
    const isOver = ({ status = {} }: Pod): boolean => status.phase === 'Failed' || status.phase === 'Succeeded'
    return items
      .filter(pod => !isOver(pod))
      .map(instanceOf)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  async restart(instance: string, signal?: AbortSignal): Promise<void> {
    const path = `/api/v1/namespaces/${this.#namespace}/pods/${encodeURIComponent(instance)}`
    await this.#ask('DELETE', { path, signal })
  }

  get #namespace(): string {
    return encodeURIComponent(this.#options.namespace)
  }

  get #path(): string {
    return `/apis/apps/v1/namespaces/${this.#namespace}/deployments/${encodeURIComponent(this.#options.deployment)}`
  }

  async #check(signal?: AbortSignal): Promise<readonly string[]> {
    const { spec } = await this.#deployment(signal)
    const type = spec.strategy?.type ?? 'RollingUpdate'
    const { namespace, deployment } = this.#options
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } }
    const patch = JSON.stringify({ spec: { strategy } })
    const remedy = `kubectl -n ${namespace} patch deployment ${deployment} -p '${patch}'`
    if (type !== 'RollingUpdate') return [`its strategy is ${type}, which takes all at once: ${remedy}`]
    const replicas = spec.replicas ?? 1
    const { maxUnavailable = '25%', maxSurge = '25%' } = spec.strategy?.rollingUpdate ?? {}
    const down = podsOf(maxUnavailable, replicas, Math.floor)
    const more = podsOf(maxSurge, replicas, Math.ceil)
    if (down === 1 && more === 0) return []
    // With a surge an old pod goes only after the new one serves, which a held rollout never comes to.
    return [`maxUnavailable is ${maxUnavailable} and maxSurge ${maxSurge}; 1 and 0 take one at a time: ${remedy}`]
  }

  async #begin(signal?: AbortSignal): Promise<void> {
    const at = new Date(this.#options.clock.now()).toISOString()
    // In one request: a template that changes while it is not paused would start by itself.
    const template = { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': at } } }
    await this.#patch({ spec: { paused: true, template } }, signal)
  }

  async #status(signal?: AbortSignal): Promise<KeeperRolloutStatus> {
    const { spec, status, metadata } = await this.#deployment(signal)
    const total = spec.replicas ?? 1
    const isSeen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0)
    const begun = isSeen ? (status.updatedReplicas ?? 0) : 0
    const unavailable = Math.max(status.unavailableReplicas ?? 0, total - (status.readyReplicas ?? 0))
    const stuck = status.conditions?.find(each => each.type === 'Progressing' && each.status === 'False')
    return {
      total,
      begun,
      // One at a time: a pod that does not serve is the one that was replaced last.
      updated: Math.max(0, begun - unavailable),
      unavailable,
      isPaused: spec.paused === true,
      ...(stuck === undefined ? {} : { problem: `${stuck.reason ?? 'stuck'}: ${stuck.message ?? ''}` })
    }
  }

  async #deployment(signal: AbortSignal | undefined): Promise<Deployment> {
    const { metadata, spec, status } = (await this.#ask('GET', { path: this.#path, signal })) as Partial<Deployment>
    return { metadata: metadata ?? {}, spec: spec ?? {}, status: status ?? {} }
  }

  async #patch(body: unknown, signal: AbortSignal | undefined): Promise<void> {
    await this.#ask('PATCH', { path: this.#path, body, signal })
  }

  async #ask(
    method: 'GET' | 'PATCH' | 'DELETE',
    { path, body, signal }: { path: string; body?: unknown; signal: AbortSignal | undefined }
  ): Promise<unknown> {
    const { access, clock } = this.#options
    return await kubeRequest(access, { method, path, body, what: this.name, clock, signal })
  }
}

/** The parts of a Deployment that are looked at; every field may be absent. */
interface Deployment {
  readonly metadata: { readonly generation?: number }
  readonly spec: {
    readonly replicas?: number
    readonly paused?: boolean
    readonly selector?: Selector
    readonly strategy?: {
      readonly type?: string
      readonly rollingUpdate?: { readonly maxUnavailable?: number | string; readonly maxSurge?: number | string }
    }
  }
  readonly status: {
    readonly observedGeneration?: number
    readonly readyReplicas?: number
    readonly updatedReplicas?: number
    readonly unavailableReplicas?: number
    readonly conditions?: readonly {
      readonly type?: string
      readonly status?: string
      readonly reason?: string
      readonly message?: string
    }[]
  }
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values?: string[] }[]
}

interface Pod {
  readonly metadata?: { readonly name?: string; readonly deletionTimestamp?: string }
  readonly status?: {
    readonly phase?: string
    readonly conditions?: readonly { readonly type?: string; readonly status?: string }[]
    readonly containerStatuses?: readonly {
      readonly restartCount?: number
      readonly state?: { readonly waiting?: { readonly reason?: string } }
    }[]
  }
}

function selectorOf({ matchLabels = {}, matchExpressions = [] }: Selector = {}): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`)
  const expressions = matchExpressions.map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key
    if (operator === 'DoesNotExist') return `!${key}`
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`
  })
  return [...labels, ...expressions].join(',')
}

function podsOf(value: number | string, replicas: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value
  return value.endsWith('%') ? round((replicas * Number.parseFloat(value)) / 100) : Number(value)
}

function instanceOf({ metadata = {}, status = {} }: Pod): FleetInstance {
  const containers = status.containerStatuses ?? []
  const waiting = containers.find(each => each.state?.waiting?.reason !== undefined)?.state?.waiting?.reason
  const isReady = status.conditions?.some(each => each.type === 'Ready' && each.status === 'True') === true
  return {
    id: metadata.name ?? '',
    state: stateOf(),
    health: waiting ?? (isReady ? 'Ready' : (status.phase ?? 'unknown')),
    crashes: containers.reduce((sum, each) => sum + (each.restartCount ?? 0), 0)
  }

  function stateOf(): InstanceState {
    if (metadata.deletionTimestamp !== undefined) return 'stopping'
    if ((waiting ?? '').endsWith('BackOff')) return 'failed'
    return isReady ? 'running' : 'starting'
  }
}
