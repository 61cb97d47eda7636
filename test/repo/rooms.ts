/**
 * The rooms of `src` and what each may import, type imports included. A room
 * is entered only by its `index.ts`. The order is that of the layers: no room
 * imports one that stands below it in this list.
 */
export const ROOM_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: ['core'],
  telemetry: ['core'],
  protocol: ['core'],
  broker: ['core', 'telemetry', 'protocol'],
  client: ['core', 'telemetry', 'protocol'],
  registry: ['core', 'telemetry', 'client'],
  producer: ['core', 'config', 'telemetry', 'protocol', 'client', 'registry'],
  targets: ['core', 'telemetry', 'client'],
  dispatcher: ['core', 'config', 'telemetry', 'protocol', 'client', 'registry', 'targets'],
  lambda: ['core', 'telemetry', 'protocol', 'client', 'targets'],
  ops: ['core', 'config', 'telemetry', 'protocol', 'client'],
  console: ['core', 'config', 'telemetry', 'client', 'registry', 'ops'],
  // The only place that wires rooms together.
  cli: 'core config telemetry protocol broker client registry producer targets dispatcher lambda ops console'.split(' ')
}

/**
 * Second doors: a part of a room that must be loaded without the rest. A function's cold start is paid for every module
 * that is loaded, and the other targets load the Kafka client.
 */
export const INNER_DOORS: readonly string[] = ['src/targets/sinks/index.ts']

/** Doors beside `index.ts`, by the subpath of the package that leads to them. Other rooms do not use them. */
export const SECOND_DOORS: Readonly<Record<string, string>> = {
  // What runs inside a function, without the runtime that runs functions: docs/decisions/0007.
  function: 'lambda/function'
}

/** Rooms without input and output of their own, and the modules of Node that they may use. */
export const PURE_ROOMS: Readonly<Record<string, readonly string[]>> = {
  core: ['node:crypto', 'node:timers/promises', 'node:util'],
  // node:module: a package that is large and seldom needed is loaded with its first use.
  protocol: ['node:buffer', 'node:crypto', 'node:module', 'node:util', 'node:zlib']
}

/** The only places that may reach for the time, timers, randomness and the environment of the process. */
export const AMBIENT_FILES: readonly RegExp[] = [
  /^src\/core\/(?:clock|virtual-clock|random)\.ts$/,
  /^src\/cli\//,
  // Pages run in browsers, whose time and timers they use.
  /^src\/console\/web\//,
  // The entry of a function in AWS, which is configured by its environment.
  /^src\/lambda\/bundle\//
]
