/** A change of a row of cells, and the ways in which a process may end in the middle of it. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { SeededRandom, VirtualClock } from '../../../src/core/index.ts'
import type { Change } from '../../../src/ops/change/change.ts'
import { systemDisk, type UndoDisk, UndoStore } from '../../../src/ops/change/undo-store.ts'

/** Thrown where a process is to end: nothing behind it happens. */
export class Killed extends Error {}

/** Ends at the n-th step, counted over disk and change together. */
export class Steps {
  #left: number

  constructor(killAt: number) {
    this.#left = killAt
  }

  /** @throws Killed at the step that was named, and at each one behind it. */
  step(): void {
    if (this.#left <= 0) throw new Killed()
    this.#left -= 1
  }

  get isOver(): boolean {
    return this.#left <= 0
  }
}

/** The disk of this machine, until the process ends; a write that is interrupted leaves half of the text. */
export function mortalDisk(steps: Steps): UndoDisk {
  return {
    makeFolder: folder => step(steps, () => systemDisk.makeFolder(folder)),
    writeSynced: async (file, text) => {
      if (steps.isOver) throw new Killed()
      await systemDisk.writeSynced(file, text.slice(0, text.length / 2))
      await step(steps, () => systemDisk.writeSynced(file, text))
    },
    rename: (from, to) => step(steps, () => systemDisk.rename(from, to)),
    syncFolder: folder => step(steps, () => systemDisk.syncFolder(folder))
  }
}

async function step(steps: Steps, run: () => Promise<void>): Promise<void> {
  steps.step()
  await run()
}

/** A folder that goes when the test ends. */
export function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'comporta-undo-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A store with a time and ids that are known. */
export function storeIn(folder: string, disk?: UndoDisk): UndoStore {
  const clock = new VirtualClock(Date.parse('2026-03-01T09:00:00Z'))
  return new UndoStore({ folder, clock, random: new SeededRandom(7), ...(disk === undefined ? {} : { disk }) })
}

/** Sets cells to 9, one step each. */
export function cellsChange(cells: number[], step: () => void = () => undefined): Change {
  const snapshot = [...cells]
  return {
    plan: {
      kind: 'cells',
      confirmWord: 'cells',
      summary: `sets ${cells.length} cells to 9`,
      effects: cells.map((value, index) => ({ what: `cell ${index}`, before: `${value}`, after: '9' })),
      warnings: [],
      blockers: [],
      undo: { kind: 'possible' }
    },
    snapshot,
    apply: async ({ signal, onProgress }) => {
      let done = 0
      for (const index of cells.keys()) {
        if (signal?.aborted === true) break
        step()
        cells[index] = 9
        done += 1
        onProgress?.(`cell ${index} set`)
        await Promise.resolve()
      }
      return { isComplete: done === cells.length, summary: `${done} cells set`, failures: [] }
    }
  }
}
