/** `comporta internal-role`: a child process of `up` or `demo`; not for people, so hidden. */

import type { Command } from 'commander'

import { createLogger, type LogLevel } from '../../telemetry/index.ts'
import { runAsChild } from '../process/role.ts'
import type { CommandAction } from './action.ts'

/** Adds the command. */
export function addInternalRole(program: Command, action: CommandAction): void {
  program.command('internal-role', { hidden: true }).action(
    action(async () => {
      const { roleStarters } = await import('../roles/index.ts')
      const code = await runAsChild(roleStarters, (role, level) =>
        createLogger({ level: level as LogLevel, fields: { role } })
      )
      // Whatever a role left open must not keep a child that was told to stop.
      process.exit(code)
    })
  )
}
