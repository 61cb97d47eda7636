/** Which kind of lane an order needs. */

import type { DispatcherConfig } from '../config/index.ts'
import { KeyedLane } from './keyed-lane.ts'
import { Lane, type LaneOptions } from './lane.ts'
import type { AnyLane } from './lane-surroundings.ts'

/** Opens a lane for the order that is configured. */
export function openLane(
  config: Pick<DispatcherConfig, 'order' | 'batchesPerPartitionMax'>,
  options: LaneOptions
): AnyLane {
  const { order, batchesPerPartitionMax } = config
  if (order === 'partition') return new Lane(options)
  return new KeyedLane({ ...options, order, batchesMax: batchesPerPartitionMax })
}
