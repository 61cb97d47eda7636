/** How a command's function becomes what the command line calls. */

import type { Command } from 'commander'

/**
 * Wraps a command: arguments first, then all options, common ones included. What
 * it returns is the exit code; what it throws is printed in one line and mapped
 * to one.
 */
export type CommandAction = <O>(
  run: (options: O, ...names: string[]) => Promise<number>
) => (this: Command, ...given: unknown[]) => Promise<void>
