/** `comporta internal-role`: a child process of `up` or `demo`; not for people, so hidden. */

import type { Command } from 'commander'

import { loggerFor, type LogsConfig } from '../context.ts'
import { runAsChild } from '../process/role.ts'
import type { CommandAction } from './action.ts'

/** Adds the command. */
export function addInternalRole(program: Command, action: CommandAction): void {
  program.command('internal-role', { hidden: true }).action(
    action(async () => {
      const { roleLoaders } = await import('../roles/index.ts')
      const code = await runAsChild(roleLoaders, ({ role, logLevel, options }) =>
        loggerFor(role, { logLevel }, logsIn(options))
      )
      // Whatever a role left open must not keep a child that was told to stop.
      process.exit(code)
    })
  )
}

/** `telemetry.logs` of options that come from the parent, which is this same package. */
function logsIn(options: unknown): LogsConfig | undefined {
  // Boundary: every role that knows the pipeline file is told of its section `telemetry`.
  return (options as { telemetry?: { logs?: LogsConfig } } | undefined)?.telemetry?.logs
}
