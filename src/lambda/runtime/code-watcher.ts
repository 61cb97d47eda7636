/**
 * Hot reload: watches the files of functions and says which function changed.
 *
 * Folders are watched, not files: an editor that writes a new file and renames
 * it over the old one would leave a watcher on the old one. What changes is
 * compared by the files that the function is known to consist of. Changes that
 * come together count once, `DEBOUNCE_MS` after the last.
 *
 * A folder that is removed and made anew, as build tools do, is another folder:
 * its watcher hears no more. So folders are looked at every `LOOK_EVERY_MS`.
 */

import { type FSWatcher, statSync, watch } from 'node:fs'
import path from 'node:path'

import { type Clock, messageOf, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** An editor's save is several changes: a new file, a rename, an attribute. */
const DEBOUNCE_MS = 100
/** How often it is looked whether folders are still the ones that are watched. */
const LOOK_EVERY_MS = 500
/** Most folders that are watched: past it, changes in further ones go unseen, and the log says so. */
const FOLDERS_MAX = 1_000

/** What a watcher needs. */
export interface CodeWatcherOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly onChange: (functionName: string) => void
}

interface Folder {
  /** `undefined` while the folder is not there, or is another. */
  watcher: FSWatcher | undefined
  inode: number | undefined
  /** Whether the log has said that it cannot be watched. */
  isTold: boolean
  /** Functions by the name of each file in this folder. */
  readonly files: Map<string, Set<string>>
}

/** Watches the code of all functions. */
export class CodeWatcher {
  readonly #options: CodeWatcherOptions
  readonly #folders = new Map<string, Folder>()
  readonly #timers = new Map<string, Timer>()
  readonly #looking: Timer
  #isFull = false
  #isClosed = false

  constructor(options: CodeWatcherOptions) {
    this.#options = options
    this.#looking = options.clock.every(LOOK_EVERY_MS, () => this.#look()).unref()
  }

  /** Watches one file for a function, whether it and its folder exist or not. */
  add(functionName: string, file: string): void {
    const folder = this.#folder(path.dirname(file))
    if (folder === undefined) return
    const name = path.basename(file)
    const functions = folder.files.get(name) ?? new Set()
    functions.add(functionName)
    folder.files.set(name, functions)
  }

  /** Ends watching. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#looking.cancel()
    for (const { watcher } of this.#folders.values()) watcher?.close()
    this.#folders.clear()
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #folder(place: string): Folder | undefined {
    const known = this.#folders.get(place)
    if (known !== undefined || this.#isClosed) return known
    if (this.#folders.size >= FOLDERS_MAX) {
      if (!this.#isFull) this.#options.logger.warn({ folders: FOLDERS_MAX }, 'too many folders to watch them all')
      this.#isFull = true
      return undefined
    }
    const folder = { watcher: undefined, inode: undefined, isTold: false, files: new Map<string, Set<string>>() }
    this.#folders.set(place, folder)
    this.#watch(place, folder)
    return folder
  }

  #watch(place: string, folder: Folder): boolean {
    try {
      folder.inode = inodeOf(place)
      const watcher = watch(place, { persistent: false }, (_event, name) => {
        // So it says that the folder itself has gone or moved.
        if (name === path.basename(place)) this.#leave(folder)
        this.#changed(place, name)
      })
      watcher.on('error', error => {
        this.#options.logger.warn({ folder: place, error: messageOf(error) }, 'a folder is not watched for the moment')
        this.#leave(folder)
      })
      folder.watcher = watcher
      return true
    } catch (error) {
      const fields = { folder: place, error: messageOf(error) }
      if (!folder.isTold) this.#options.logger.warn(fields, 'changes in a folder cannot be watched')
      folder.isTold = true
      return false
    }
  }

  #leave(folder: Folder): void {
    folder.watcher?.close()
    folder.watcher = undefined
  }

  #look(): void {
    for (const [place, folder] of this.#folders) {
      const inode = inodeOf(place)
      if (inode !== undefined && folder.watcher !== undefined && inode === folder.inode) continue
      this.#leave(folder)
      // What was written before it was watched again was not heard.
      if (inode !== undefined && this.#watch(place, folder)) this.#changed(place, null)
    }
  }

  #changed(place: string, name: string | null): void {
    const files = this.#folders.get(place)?.files
    if (files === undefined) return
    // Some systems do not say which file: then it may have been any.
    const functions = name === null ? [...files.values()].flatMap(each => [...each]) : (files.get(name) ?? [])
    for (const functionName of functions) {
      this.#timers.get(functionName)?.cancel()
      const timer = this.#options.clock.after(DEBOUNCE_MS, () => {
        this.#timers.delete(functionName)
        this.#options.onChange(functionName)
      })
      this.#timers.set(functionName, timer.unref())
    }
  }
}

function inodeOf(folder: string): number | undefined {
  try {
    return statSync(folder, { throwIfNoEntry: false })?.ino
  } catch {
    // Not to be looked into, or no folder above it any more: as good as gone.
    return undefined
  }
}
