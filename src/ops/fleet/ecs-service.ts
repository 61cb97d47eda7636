/**
 * An ECS service, on Fargate or on EC2.
 *
 * The size is its desired count. While a deployment of its own is under way, its
 * tasks of the old definition do not count as running, so that nothing is scaled
 * in the middle of it. A task is made anew by stopping it: the service starts
 * another with its present definition.
 *
 * Rights: `ecs:DescribeServices`, `ecs:ListTasks`, `ecs:DescribeTasks` to look;
 * for changes `ecs:UpdateService`, for a rollout `ecs:StopTask`.
 * Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
 */

import type { ECSClient, Service, Task } from '@aws-sdk/client-ecs'

import { PipelineError } from '../../core/index.ts'
import { abortable } from './abortable.ts'
import { awsClientOptions } from './aws-client-options.ts'
import type { FleetActuator, FleetInstance, FleetSize, InstanceState } from './fleet.ts'
import { awsError } from './fleet-error.ts'

/** Which service. */
export interface EcsServiceOptions {
  /** Name or ARN of the cluster. */
  readonly cluster: string
  readonly service: string
  /** Default: AWS's own chain. */
  readonly region?: string | undefined
  /** Address of the API. Default: AWS. */
  readonly endpoint?: string | undefined
}

/** DescribeTasks takes so many at once. */
const TASKS_AT_ONCE = 100
/** Pages of tasks that are read at most: 5,000 tasks, as many as a service may have. */
const PAGES_MAX = 50

/** Looks at the service, sets its desired count, stops its tasks. */
export class EcsServiceFleet implements FleetActuator {
  readonly name: string
  readonly #options: EcsServiceOptions
  #client: ECSClient | undefined

  constructor(options: EcsServiceOptions) {
    this.#options = options
    this.name = `ecs/${options.cluster}/${options.service}`
  }

  async size(signal?: AbortSignal): Promise<FleetSize> {
    const { desiredCount = 0, runningCount = 0, deployments = [] } = await this.#describe(signal)
    const primary = deployments.find(({ status }) => status === 'PRIMARY')
    // More than one: a deployment of its own is under way, and tasks of both definitions run.
    const running = deployments.length > 1 ? (primary?.runningCount ?? 0) : runningCount
    return { wanted: desiredCount, running, min: undefined, max: undefined }
  }

  async resize(count: number, signal?: AbortSignal): Promise<void> {
    const { UpdateServiceCommand } = await import('@aws-sdk/client-ecs')
    const { cluster, service } = this.#options
    await this.#send(async client => {
      await client.send(new UpdateServiceCommand({ cluster, service, desiredCount: count }), abortable(signal))
    })
  }

  async instances(signal?: AbortSignal): Promise<readonly FleetInstance[]> {
    const { ListTasksCommand, DescribeTasksCommand } = await import('@aws-sdk/client-ecs')
    const { cluster, service: serviceName } = this.#options
    const found: FleetInstance[] = []
    let nextToken: string | undefined
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const list = {
        cluster,
        serviceName,
        maxResults: TASKS_AT_ONCE,
        ...(nextToken === undefined ? {} : { nextToken })
      }
      const listed = await this.#send(client => client.send(new ListTasksCommand(list), abortable(signal)))
      const tasks = listed.taskArns ?? []
      if (tasks.length > 0) {
        const ask = new DescribeTasksCommand({ cluster, tasks })
        const described = await this.#send(client => client.send(ask, abortable(signal)))
        for (const task of described.tasks ?? []) found.push(instanceOf(task))
      }
      nextToken = listed.nextToken
      if (nextToken === undefined) break
    }
    return found.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  async restart(instance: string, signal?: AbortSignal): Promise<void> {
    const { StopTaskCommand } = await import('@aws-sdk/client-ecs')
    const request = { cluster: this.#options.cluster, task: instance, reason: 'comporta rollout' }
    await this.#send(async client => {
      await client.send(new StopTaskCommand(request), abortable(signal))
    })
  }

  close(): Promise<void> {
    this.#client?.destroy()
    return Promise.resolve()
  }

  async #describe(signal: AbortSignal | undefined): Promise<Service> {
    const { DescribeServicesCommand } = await import('@aws-sdk/client-ecs')
    const { cluster, service } = this.#options
    const answer = await this.#send(client =>
      client.send(new DescribeServicesCommand({ cluster, services: [service] }), abortable(signal))
    )
    const [found] = answer.services ?? []
    if (found === undefined || found.status === 'INACTIVE') {
      throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no ECS service ${service} in cluster ${cluster}`)
    }
    return found
  }

  async #send<T>(send: (client: ECSClient) => Promise<T>): Promise<T> {
    try {
      const { ECSClient: Client } = await import('@aws-sdk/client-ecs')
      this.#client ??= new Client(awsClientOptions(this.#options))
      return await send(this.#client)
    } catch (error) {
      throw awsError(error, this.name)
    }
  }
}

function instanceOf({ taskArn = '', lastStatus = '', desiredStatus, healthStatus }: Task): FleetInstance {
  const health = healthStatus === undefined || healthStatus === 'UNKNOWN' ? '' : `, ${healthStatus}`
  return { id: taskArn.split('/').at(-1) ?? taskArn, state: stateOf(), health: `${lastStatus}${health}` }

  function stateOf(): InstanceState {
    if (desiredStatus === 'STOPPED' || lastStatus === 'STOPPED') return 'stopping'
    if (healthStatus === 'UNHEALTHY') return 'failed'
    return lastStatus === 'RUNNING' ? 'running' : 'starting'
  }
}
