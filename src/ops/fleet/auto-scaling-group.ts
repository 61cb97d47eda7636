/**
 * An AWS Auto Scaling group.
 *
 * The size is its desired capacity, within its own minimum and maximum: AWS
 * refuses another, and so does this before it asks. An instance is made anew by
 * terminating it without lowering the capacity, one at a time, and not by an
 * instance refresh: its checkpoints wait for a time, not for a group that has
 * settled and a lag that is back, and it takes the next instance while the lag
 * of the last one is still there.
 *
 * Rights: `autoscaling:DescribeAutoScalingGroups` to look; for changes
 * `autoscaling:SetDesiredCapacity`, for a rollout
 * `autoscaling:TerminateInstanceInAutoScalingGroup`, both on the one group.
 * Source: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/
 */

import type { AutoScalingClient, AutoScalingGroup } from '@aws-sdk/client-auto-scaling'

import { PipelineError } from '../../core/index.ts'
import { abortable } from './abortable.ts'
import { awsClientOptions } from './aws-client-options.ts'
import type { FleetActuator, FleetInstance, FleetSize, InstanceState } from './fleet.ts'
import { awsError } from './fleet-error.ts'

/** Which group. */
export interface AutoScalingGroupOptions {
  /** Its name. */
  readonly group: string
  /** Default: AWS's own chain. */
  readonly region?: string | undefined
  /** Address of the API. Default: AWS. */
  readonly endpoint?: string | undefined
}

/** Looks at the group, sets its desired capacity, terminates its instances. */
export class AutoScalingGroupFleet implements FleetActuator {
  readonly name: string
  readonly #options: AutoScalingGroupOptions
  #client: AutoScalingClient | undefined

  constructor(options: AutoScalingGroupOptions) {
    this.#options = options
    this.name = `asg/${options.group}`
  }

  async size(signal?: AbortSignal): Promise<FleetSize> {
    const { DesiredCapacity, MinSize, MaxSize, Instances } = await this.#describe(signal)
    return {
      wanted: DesiredCapacity ?? 0,
      running: (Instances ?? []).filter(each => stateOf(each) === 'running').length,
      min: MinSize,
      max: MaxSize
    }
  }

  async resize(count: number, signal?: AbortSignal): Promise<void> {
    const { min = 0, max = count } = await this.size(signal)
    if (count < min || count > max) {
      const message = `${this.name}: ${count} is not between its own limits, ${min} and ${max}`
      throw new PipelineError('ERR_OPS_REFUSED', message)
    }
    const { SetDesiredCapacityCommand } = await import('@aws-sdk/client-auto-scaling')
    // Without its cool-down: the scaler has its own, which knows how long a rebalance takes.
    const request = { AutoScalingGroupName: this.#options.group, DesiredCapacity: count, HonorCooldown: false }
    await this.#send(async client => {
      await client.send(new SetDesiredCapacityCommand(request), abortable(signal))
    })
  }

  async instances(signal?: AbortSignal): Promise<readonly FleetInstance[]> {
    const { Instances } = await this.#describe(signal)
    return (Instances ?? [])
      .map(each => ({
        id: each.InstanceId ?? '',
        state: stateOf(each),
        health: `${each.LifecycleState ?? 'unknown'}, ${each.HealthStatus ?? 'unknown'}`
      }))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  async restart(instance: string, signal?: AbortSignal): Promise<void> {
    const { TerminateInstanceInAutoScalingGroupCommand } = await import('@aws-sdk/client-auto-scaling')
    const request = { InstanceId: instance, ShouldDecrementDesiredCapacity: false }
    await this.#send(async client => {
      await client.send(new TerminateInstanceInAutoScalingGroupCommand(request), abortable(signal))
    })
  }

  close(): Promise<void> {
    this.#client?.destroy()
    return Promise.resolve()
  }

  async #describe(signal: AbortSignal | undefined): Promise<AutoScalingGroup> {
    const { DescribeAutoScalingGroupsCommand } = await import('@aws-sdk/client-auto-scaling')
    const request = { AutoScalingGroupNames: [this.#options.group] }
    const answer = await this.#send(client =>
      client.send(new DescribeAutoScalingGroupsCommand(request), abortable(signal))
    )
    const [group] = answer.AutoScalingGroups ?? []
    if (group === undefined)
      throw new PipelineError('ERR_OPS_NOT_FOUND', `there is no Auto Scaling group ${this.#options.group}`)
    return group
  }

  async #send<T>(send: (client: AutoScalingClient) => Promise<T>): Promise<T> {
    try {
      const { AutoScalingClient: Client } = await import('@aws-sdk/client-auto-scaling')
      this.#client ??= new Client(awsClientOptions(this.#options))
      return await send(this.#client)
    } catch (error) {
      throw awsError(error, this.name)
    }
  }
}

interface InstanceSaid {
  readonly LifecycleState?: string | undefined
  readonly HealthStatus?: string | undefined
}

function stateOf({ LifecycleState = '', HealthStatus = '' }: InstanceSaid): InstanceState {
  if (LifecycleState.startsWith('Terminat')) return 'stopping'
  if (HealthStatus !== '' && HealthStatus !== 'Healthy' && HealthStatus !== 'HEALTHY') return 'failed'
  return LifecycleState === 'InService' ? 'running' : 'starting'
}
