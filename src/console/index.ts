/** `console`: the web console: what it knows, who may ask, and the pages in front of it. */

export type { PlanReplay, ReplayWish } from './changes/replay-planner.ts'
export type { Instance } from './flow/instance-types.ts'
export { ASSETS, type BuiltFile, buildPages } from './server/page-builder.ts'
export type { ConsoleRoute } from './server/routes.ts'
export type { ConsoleSecrets } from './server/settings.ts'
export { type Console, type ConsoleOptions, startConsole } from './server/start-console.ts'
