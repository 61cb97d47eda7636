/**
 * The roles that can run as child processes, by name. Each is imported only by the
 * process that runs it: a broker has no business loading the AWS SDK.
 */

import type { RoleStarter } from '../process/role.ts'

/** How to load the starter of each role. */
export const roleLoaders: Readonly<Record<string, () => Promise<RoleStarter>>> = {
  broker: async () => (await import('./broker.ts')).startBrokerRole,
  console: async () => (await import('./console.ts')).startConsoleRole,
  'demo-producer': async () => (await import('./demo-producer.ts')).startDemoProducerRole,
  'demo-service': async () => (await import('../demo/service.ts')).startDemoService,
  dispatcher: async () => (await import('./dispatcher.ts')).startDispatcherRole,
  esm: async () => (await import('./esm.ts')).startEsmRole,
  lambda: async () => (await import('./lambda.ts')).startLambdaRole,
  producer: async () => (await import('./producer.ts')).startProducerRole
}
