/** The folder of one partition and its two text files. */

import fs from 'node:fs/promises'
import path from 'node:path'
import { systemErrorCode } from './disk.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import { LEADER_EPOCH_FILE } from './replay-state.ts'
import {
  formatLeaderEpochs,
  formatPartitionMetadata,
  parsePartitionMetadata,
  readIfPresent,
  replaceFile
} from './small-files.ts'

/** Name of the file with the topic id. */
export const PARTITION_METADATA_FILE = 'partition.metadata'

/** Creates the folder and writes the topic id into it, unless it is there. */
export async function preparePartitionFolder(folder: string, topicId: string): Promise<void> {
  if ((await topicIdOf(folder)) === topicId) return
  await fs.mkdir(folder, { recursive: true })
  await replaceFile(path.join(folder, PARTITION_METADATA_FILE), formatPartitionMetadata(topicId))
}

/** The topic id in a folder; `undefined` if there is none. */
export async function topicIdOf(folder: string): Promise<string | undefined> {
  const content = await readIfPresent(path.join(folder, PARTITION_METADATA_FILE))
  return content === undefined ? undefined : parsePartitionMetadata(content.toString())
}

/** Replaces `leader-epoch-checkpoint`. */
export async function saveLeaderEpochs(folder: string, epochs: LeaderEpochs): Promise<void> {
  await replaceFile(path.join(folder, LEADER_EPOCH_FILE), formatLeaderEpochs(epochs.entries))
}

/** Whether any segment in the folder has bytes. */
export async function hasRecords(folder: string): Promise<boolean> {
  for (const name of await fs.readdir(folder)) {
    if (!name.endsWith('.log')) continue
    try {
      if ((await fs.stat(path.join(folder, name))).size > 0) return true
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error
    }
  }
  return false
}
