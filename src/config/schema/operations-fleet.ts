/** `operations.fleet:` — who keeps the instances of the dispatcher, so that `scale` and `rollout` can change them. */

import { z } from 'zod'

import { httpUrl, integer, milliseconds } from './common.ts'

const region = z.string().min(1).optional().describe('AWS region. Default: AWS’s own chain.')
const endpoint = httpUrl.optional().describe('Address of the API. Default: AWS.')

const localFleet = z.strictObject({
  type: z.literal('local').describe('Processes of this machine, kept by `comporta scale --apply`.'),
  socket: z
    .string()
    .min(1)
    .default('.comporta/fleet.sock')
    .describe('Unix socket by which `comporta rollout` reaches them. On Windows a pipe: `\\\\.\\pipe\\…`.'),
  drainMs: milliseconds(0).optional().describe('Longest drain of one. Default: `dispatcher.drainMs`.'),
  hasMetrics: z
    .boolean()
    .default(true)
    .describe('Whether each serves its metrics on a free port, from which a slow target is seen.')
})

const autoScalingGroup = z.strictObject({
  type: z.literal('autoScalingGroup'),
  group: z.string().min(1).max(255).describe('Name of the AWS Auto Scaling group.'),
  region,
  endpoint
})

const ecsService = z.strictObject({
  type: z.literal('ecs'),
  cluster: z.string().min(1).describe('Name or ARN of the ECS cluster.'),
  service: z.string().min(1).describe('Name of the service.'),
  region,
  endpoint
})

const kubernetesName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'not a Kubernetes name: lower case letters, digits, "-" and "."')

const kubernetesDeployment = z.strictObject({
  type: z.literal('kubernetes'),
  deployment: kubernetesName.describe('Name of the Deployment.'),
  namespace: kubernetesName
    .optional()
    .describe('Default: that of the kubeconfig’s context or of the pod, or `default`.'),
  kubeconfig: z
    .string()
    .min(1)
    .optional()
    .describe('Default: `KUBECONFIG`, the pod’s service account, or `~/.kube/config`.'),
  context: z.string().min(1).optional().describe('Context of the kubeconfig. Default: its current one.')
})

const webhook = z.strictObject({
  type: z.literal('webhook'),
  url: httpUrl.describe('GET tells the size, POST asks for one. Each request is signed.'),
  secretEnv: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not the name of an environment variable')
    .describe('Environment variable with the secret of the signature.'),
  timeoutMs: milliseconds(100, 120_000).default(10_000).describe('Longest wait for an answer.')
})

/** `operations.fleet:` */
export const fleetSchema = z
  .discriminatedUnion('type', [localFleet, autoScalingGroup, ecsService, kubernetesDeployment, webhook])
  .optional()
  .describe('Who keeps the instances. Without it `scale` only looks, and `rollout` has nothing to roll.')

/** `operations.fleet:` as read. */
export type FleetConfig = NonNullable<z.infer<typeof fleetSchema>>

/** `operations.rollout:` */
export const rolloutSchema = z
  .strictObject({
    maxLagSeconds: z.number().min(0).max(86_400).default(60).describe('The lag must be below this again, or …'),
    lagRatio: z
      .number()
      .min(1)
      .max(10)
      .default(1.2)
      .describe('… at most this multiple of what it was before the rollout, before the next instance is taken.'),
    haltLagSeconds: z
      .number()
      .min(1)
      .max(86_400)
      .default(600)
      .describe('A lag above this, and above what it was before, halts the rollout at once.'),
    settleSeconds: integer(0, 3600).default(10).describe('The group must have been settled for this long.'),
    stepTimeoutSeconds: integer(1, 86_400).default(600).describe('A step that takes longer halts the rollout.'),
    deadLettersPerSecondMax: z
      .number()
      .min(0)
      .default(1)
      .describe('More dead letters per second than this, above what came before, halt the rollout.'),
    canary: integer(0, 1000).default(0).describe('Pause after this many instances, until somebody says `--resume`.'),
    pollSeconds: z.number().min(0.1).max(60).default(2).describe('How often is looked.')
  })
  .prefault({})
  .describe('The gates of `comporta rollout`.')

/** `operations.rollout:` as read. */
export type RolloutConfig = z.infer<typeof rolloutSchema>

/** The section of a file that says nothing of rollouts. */
export function rolloutDefaults(): RolloutConfig {
  return rolloutSchema.parse(undefined)
}
