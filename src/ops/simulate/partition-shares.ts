/** What part of the records each partition gets: evenly, as given, or by keys that are hashed as clients do. */

import { Buffer } from 'node:buffer'

import { partitionForKey } from '../../protocol/index.ts'
import type { SimulationScenario } from './simulation-types.ts'

type Keys = SimulationScenario['arrival']['keys']
type Distribution = Extract<Keys, { type: 'hashed' }>['distribution']

/** Shares of `partitionCount` partitions; they add up to 1. */
export function partitionShares(keys: Keys, partitionCount: number): Float64Array {
  const shares = new Float64Array(partitionCount)
  if (keys.type === 'even') return shares.fill(1 / partitionCount)
  if (keys.type === 'shares') {
    const sum = keys.shares.reduce((total, share) => total + share, 0)
    return shares.map((_, partition) => (keys.shares[partition] ?? 0) / sum)
  }
  const add = (key: string, weight: number): void => {
    const partition = partitionForKey(Buffer.from(key), partitionCount)
    shares[partition] = (shares[partition] ?? 0) + weight
  }
  if (keys.type === 'hashed') {
    weightsOf(keys.distribution, keys.count).forEach((weight, rank) => add(`key-${rank}`, weight))
    return shares
  }
  const codes = weightsOf(keys.distribution, keys.codes)
  const trucks = weightsOf(keys.distribution, keys.trucks)
  codes.forEach((codeWeight, code) => {
    trucks.forEach((truckWeight, truck) => add(`${300 + code}:truck-${truck}`, codeWeight * truckWeight))
  })
  return shares
}

/** Weights of the ranks; they add up to 1. */
export function weightsOf(distribution: Distribution, count: number): Float64Array {
  const weights = new Float64Array(count)
  switch (distribution.type) {
    case 'uniform':
      return weights.fill(1 / count)
    case 'pareto': {
      const topCount = Math.min(count, Math.max(1, Math.round(count * distribution.topRatio)))
      if (topCount === count) return weights.fill(1 / count)
      return weights.map((_, rank) =>
        rank < topCount ? distribution.topShare / topCount : (1 - distribution.topShare) / (count - topCount)
      )
    }
    case 'zipf': {
      const raw = weights.map((_, rank) => (rank + 1) ** -distribution.exponent)
      const sum = raw.reduce((total, weight) => total + weight, 0)
      return raw.map(weight => weight / sum)
    }
  }
}
