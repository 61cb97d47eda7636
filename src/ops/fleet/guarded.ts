/** Looks that never throw. */

import { briefMessageOf } from '../../core/index.ts'

/** Runs a look; what fails becomes a problem, with what it means, and its result is not known. */
export type GuardedLook = <T>(what: string, run: () => Promise<T>) => Promise<T | undefined>

/** Looks whose failures are added to `problems`. */
export function guardedLook(problems: string[]): GuardedLook {
  return async (what, run) => {
    try {
      return await run()
    } catch (error) {
      problems.push(`${what}: ${briefMessageOf(error)}`)
      return undefined
    }
  }
}
