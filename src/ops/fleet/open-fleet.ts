/** From `operations.fleet` of the pipeline file to an actuator. */

import type { FleetConfig } from '../../config/index.ts'
import { type Clock, PipelineError } from '../../core/index.ts'
import type { FleetActuator } from './fleet.ts'
import type { Variables } from './kube-access.ts'

/** What an actuator may use beside its settings. */
export interface FleetSurroundings {
  /** Environment variables: secrets of webhooks, the access to Kubernetes. */
  readonly environment: Variables
  readonly clock: Clock
}

/**
 * Opens it. What is not used is not loaded: AWS's SDK only for what is AWS's.
 *
 * @throws PipelineError `ERR_OPS_FLEET_INVALID` if it cannot be reached with these settings, whatever answers.
 */
export async function openFleet(config: FleetConfig, around: FleetSurroundings): Promise<FleetActuator> {
  const { environment, clock } = around
  switch (config.type) {
    case 'local': {
      const { SocketFleet } = await import('./socket-fleet.ts')
      return new SocketFleet(config.socket, clock)
    }
    case 'autoScalingGroup': {
      const { AutoScalingGroupFleet } = await import('./auto-scaling-group.ts')
      return new AutoScalingGroupFleet(config)
    }
    case 'ecs': {
      const { EcsServiceFleet } = await import('./ecs-service.ts')
      return new EcsServiceFleet(config)
    }
    case 'kubernetes': {
      const { openKubeAccess } = await import('./kube-access.ts')
      const { KubernetesFleet } = await import('./kubernetes.ts')
      const { deployment, kubeconfig, context } = config
      const access = await openKubeAccess({ environment, clock, kubeconfig, context })
      return new KubernetesFleet({
        access,
        clock,
        deployment,
        namespace: config.namespace ?? access.namespace ?? 'default'
      })
    }
    case 'webhook': {
      const secret = environment[config.secretEnv]
      if (secret === undefined || secret === '') {
        const message = `operations.fleet.secretEnv: the environment variable ${config.secretEnv} is not set`
        throw new PipelineError('ERR_OPS_FLEET_INVALID', message)
      }
      const { WebhookFleet } = await import('./webhook.ts')
      return new WebhookFleet({ url: config.url, secret, timeoutMs: config.timeoutMs, clock })
    }
  }
}
