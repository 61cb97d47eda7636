/** Walks through every way in which a small world can go: each choice is taken each way, depth first. */

import { type Random, randomInt } from '../../src/core/index.ts'

/** Choices of one run: those of the path given; from there on the first option, or one by chance. */
export class Choices {
  readonly #path: readonly number[]
  readonly #random: Random | undefined
  /** What was chosen, of how many. */
  readonly taken: { readonly pick: number; readonly count: number }[] = []

  constructor(path: readonly number[], random?: Random) {
    this.#path = path
    this.#random = random
  }

  /** Chooses one of `count` options. */
  pick(count: number): number {
    const pick = this.#path[this.taken.length] ?? (this.#random === undefined ? 0 : randomInt(this.#random, count))
    this.taken.push({ pick, count })
    return pick
  }
}

/** The path after the one just taken; `undefined` when there is none. */
export function nextPath({ taken }: Choices): number[] | undefined {
  for (let at = taken.length - 1; at >= 0; at -= 1) {
    const choice = taken[at]
    if (choice === undefined || choice.pick + 1 >= choice.count) continue
    return [...taken.slice(0, at).map(({ pick }) => pick), choice.pick + 1]
  }
  return undefined
}

/**
 * Runs every path, or the first `pathsMax`.
 *
 * @returns How many paths were run, and whether these were all.
 */
export async function explore(
  run: (choices: Choices) => Promise<void>,
  pathsMax: number
): Promise<{ paths: number; isComplete: boolean }> {
  let path: number[] | undefined = []
  let paths = 0
  while (path !== undefined && paths < pathsMax) {
    const choices = new Choices(path)
    await run(choices)
    paths += 1
    path = nextPath(choices)
  }
  return { paths, isComplete: path === undefined }
}

/** Runs some paths by chance: for a case with more of them than there is time. */
export async function sample(run: (choices: Choices) => Promise<void>, count: number, random: Random): Promise<void> {
  for (let index = 0; index < count; index += 1) await run(new Choices([], random))
}
