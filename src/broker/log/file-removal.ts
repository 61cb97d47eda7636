/**
 * Files of segments that are out of the log and go. What the disk does not let
 * go is kept in mind and tried again with the next removal: otherwise its space
 * would be lost, and its records back, until and after the next start.
 */

import type { FolderOperations } from './segment-swap.ts'

/** Removes files of one log, in the order in which they were given. */
export class FileRemoval {
  readonly #operations: FolderOperations
  readonly #left: string[] = []

  constructor(operations: FolderOperations) {
    this.#operations = operations
  }

  /**
   * Removes what is left of earlier calls, then these. Never rejects.
   *
   * @returns The error that the disk has stopped it with; `undefined` if nothing is left.
   */
  async remove(files: readonly string[]): Promise<unknown> {
    this.#left.push(...files)
    for (let file = this.#left[0]; file !== undefined; file = this.#left[0]) {
      try {
        await this.#operations.remove(file)
      } catch (error) {
        return error
      }
      this.#left.shift()
    }
    return undefined
  }
}
