/** What goes wrong in the simulation, one thing after another and on top of each other, by the seed. */

import { randomInt } from '../../src/core/index.ts'
import type { Mood } from './target.ts'
import { WELL } from './target.ts'
import { GOOD_NETWORK } from './network.ts'
import { PARTITIONS_MAX, type SimDispatcher, type World } from './world.ts'

type Harm = (world: World, pick: (limit: number) => number) => Promise<void> | void

/** Takes something back after a while, unless it was healed before. */
function later(world: World, ms: number, undo: () => void): void {
  world.clock.after(ms, undo)
}

function one(world: World, pick: (limit: number) => number): SimDispatcher | undefined {
  const { running } = world
  return running[pick(running.length)]
}

const MOODS: readonly (readonly Mood[])[] = [
  ['silent', 'well'],
  ['refusing'],
  ['throttling', 'well'],
  ['breaking', 'well', 'well'],
  ['nonsense', 'well', 'well'],
  ['throwing', 'well'],
  ['silent', 'refusing', 'throttling', 'breaking', 'throwing', 'well', 'well']
]

const HARMS: Readonly<Record<string, Harm>> = {
  kill: async (world, pick) => {
    const victim = one(world, pick)
    if (victim === undefined) return
    world.kill(victim)
    if (pick(3) > 0) await world.start()
  },
  freeze: (world, pick) => {
    const victim = one(world, pick)
    if (victim === undefined) return
    world.ledger.note(`${victim.process.name} stands still`)
    victim.process.freeze()
    later(world, 200 + pick(6000), () => {
      world.ledger.note(`${victim.process.name} goes on`)
      victim.process.thaw()
    })
  },
  replace: async (world, pick) => {
    const old = one(world, pick)
    await world.start()
    if (old !== undefined) void world.drain(old)
  },
  add: async world => {
    if (world.running.length < 5) await world.start()
  },
  cutOne: (world, pick) => {
    const victim = one(world, pick)
    if (victim === undefined) return
    world.ledger.note(`${victim.process.name} is cut off`)
    world.network.cut(victim.process)
    later(world, 200 + pick(5000), () => world.network.mend(victim.process))
  },
  clusterDown: (world, pick) => {
    world.ledger.note('the cluster is down')
    world.network.isClusterDown = true
    later(world, 200 + pick(3000), () => (world.network.isClusterDown = false))
  },
  badNetwork: (world, pick) => {
    const share = (): number => (pick(3) === 0 ? 0.2 * world.random.next() : 0)
    const faults = { lostRequest: share(), lostAnswer: share(), lateRequest: share() / 4, latencyMaxMs: 1 + pick(200) }
    world.ledger.note(`the network is bad ${JSON.stringify(faults)}`)
    world.network.faults = faults
    later(world, 500 + pick(5000), () => (world.network.faults = GOOD_NETWORK))
  },
  badTarget: (world, pick) => {
    const moods = MOODS[pick(MOODS.length)] ?? ['well']
    world.ledger.note(`the target is ${moods.join(' ')}`)
    world.target.health = { moods, latencyMaxMs: 20 }
    later(world, 500 + pick(6000), () => (world.target.health = WELL))
  },
  slowTarget: (world, pick) => {
    world.ledger.note('the target is slow')
    world.target.health = { moods: ['well'], latencyMaxMs: 50 + pick(900) }
    later(world, 500 + pick(5000), () => (world.target.health = WELL))
  },
  deadLettersFail: (world, pick) => {
    world.readFaults.appendError = world.random.next()
    later(world, 500 + pick(4000), () => (world.readFaults.appendError = 0))
  },
  fetchesFail: (world, pick) => {
    world.readFaults.fetchError = world.random.next() * 0.5
    later(world, 500 + pick(4000), () => (world.readFaults.fetchError = 0))
  },
  commitsFail: (world, pick) => {
    world.ledger.note('commits fail')
    world.commitError = 0.3 + world.random.next() * 0.7
    later(world, 500 + pick(8000), () => (world.commitError = 0))
  },
  retune: (world, pick) => {
    const changed = one(world, pick)
    if (changed !== undefined) world.retune(changed)
  },
  shake: world => world.coordinator.shake(),
  storm: (world, pick) => {
    for (let index = 0; index < 8; index += 1) world.clock.after(pick(3000), () => world.coordinator.shake())
  },
  grow: world => {
    if (world.partitionCount < PARTITIONS_MAX) world.grow(1)
  },
  append: (world, pick) => world.append(pick(world.partitionCount), 1 + pick(40)),
  truncate: (world, pick) => world.truncate(pick(world.partitionCount), 1 + pick(4))
}

/** What an operator does: nothing of it may repeat a record. */
const CALM = ['replace', 'add', 'append', 'grow', 'slowTarget', 'retune']

/** Runs the world through its seed's harms. */
export async function harm(world: World): Promise<void> {
  const pick = (limit: number): number => randomInt(world.random, limit)
  const names = world.isCalm ? CALM : Object.keys(HARMS)
  for (let count = 1 + pick(2); count > 0; count -= 1) await world.start()
  const steps = 3 + pick(8)
  for (let step = 0; step < steps; step += 1) {
    await world.pass(100 + pick(1500))
    const name = names[pick(names.length)] ?? ''
    world.ledger.note(`harm: ${name}`)
    await HARMS[name]?.(world, pick)
    world.append(pick(world.partitionCount), pick(15))
  }
  await world.pass(pick(3000))
}
