/**
 * A fleet: the instances that run a pipeline's dispatchers, whoever keeps them
 * running. Scaling asks for a number, a rollout for one instance to be made anew;
 * an actuator is one way to get that: processes of this machine, an Auto Scaling
 * group, an ECS service, a Kubernetes Deployment, somebody's own webhook.
 *
 * Invariants: looking never changes anything, and needs rights to read only; a
 * call that changes something returns once it is accepted (`resize`), or once the
 * instance that it is about is gone (`restart`), never later than its signal.
 */

/** How large a fleet is. */
export interface FleetSize {
  /** Instances that are asked for. */
  readonly wanted: number
  /** Instances that run and are healthy, as their keeper sees it. */
  readonly running: number
  /** Fewest that the keeper allows itself; `undefined` = it has no such limit. */
  readonly min: number | undefined
  /** Most that the keeper allows itself; `undefined` = it has no such limit. */
  readonly max: number | undefined
}

/** What an instance is doing. */
export type InstanceState = 'starting' | 'running' | 'stopping' | 'failed'

/** One instance. */
export interface FleetInstance {
  /** As its keeper names it: a process name, an EC2 instance, an ECS task, a pod. */
  readonly id: string
  readonly state: InstanceState
  /** What its keeper says of its health: `Healthy`, `InService`, `Ready`, or why not; for people. */
  readonly health: string
  /** Another after each start, where the id stays the same: a process id. Default: the id, which then is another. */
  readonly incarnation?: string
  /** Number of times that it was started again after a crash, where the keeper counts them. */
  readonly crashes?: number
}

/** One way to change a fleet. */
export interface FleetActuator {
  /** For people, and to type when a change is confirmed: `asg/consumers`, `kubernetes/default/consumer`. */
  readonly name: string
  /** @throws PipelineError `ERR_OPS_NOT_FOUND`, `ERR_OPS_FLEET_UNREACHABLE` or `ERR_OPS_REFUSED`. */
  size(signal?: AbortSignal): Promise<FleetSize>
  /**
   * Asks for a number of instances. Comes back once the keeper has taken it, before the instances are there.
   *
   * @throws PipelineError as `size`.
   */
  resize(count: number, signal?: AbortSignal): Promise<void>
  /** Its instances, ordered by id. */
  instances(signal?: AbortSignal): Promise<readonly FleetInstance[]>
  /**
   * Ends one instance, draining it where the keeper can, so that a new one takes its place with what is configured now.
   *
   * @throws PipelineError as `size`.
   */
  restart(instance: string, signal?: AbortSignal): Promise<void>
  /** A rollout that the keeper makes by itself; absent where instances are made anew one by one. */
  readonly rollout?: KeeperRollout
  /** Ends connections, and processes that live only in this one. */
  close?(): Promise<void>
}

/** How far a rollout of the keeper's own is. */
export interface KeeperRolloutStatus {
  /** Instances of the new kind that are ready. */
  readonly updated: number
  /** Instances of the new kind that have been begun, ready or not. */
  readonly begun: number
  readonly total: number
  /** Instances that do not serve at the moment. */
  readonly unavailable: number
  readonly isPaused: boolean
  /** Why it cannot go on. */
  readonly problem?: string
}

/** A rollout that the keeper makes: it is started, watched, held and let go on. */
export interface KeeperRollout {
  /** Why the keeper would take more than one instance at a time, each with its remedy; empty = it would not. */
  check(signal?: AbortSignal): Promise<readonly string[]>
  /** Begins it, held: nothing is replaced before `resume`. */
  begin(signal?: AbortSignal): Promise<void>
  status(signal?: AbortSignal): Promise<KeeperRolloutStatus>
  pause(signal?: AbortSignal): Promise<void>
  resume(signal?: AbortSignal): Promise<void>
  /** How a person goes back to what was there before. */
  readonly goBack: string
}
