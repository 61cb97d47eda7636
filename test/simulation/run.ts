/** One run of the simulation from beginning to end. */

import { harm } from './chaos.ts'
import { World, type WorldOptions } from './world.ts'

/** Runs a seed: harm, healing, judgement. */
export async function runSeed(options: WorldOptions): Promise<World> {
  const world = new World(options)
  await harm(world)
  await world.heal()
  await world.finish()
  return world
}
