/**
 * Hot reload: watches the files of functions and says which function changed.
 *
 * Folders are watched, not files: an editor that writes a new file and renames
 * it over the old one would leave a watcher on the old one. What changes is
 * compared by the files that the function is known to consist of. Changes that
 * come together count once, `DEBOUNCE_MS` after the last.
 */

import { type FSWatcher, watch } from 'node:fs'
import path from 'node:path'

import { type Clock, messageOf, type Timer } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'

/** An editor's save is several changes: a new file, a rename, an attribute. */
const DEBOUNCE_MS = 100
/** Most folders that are watched: past it, changes in further ones go unseen, and the log says so. */
const FOLDERS_MAX = 1_000

/** What a watcher needs. */
export interface CodeWatcherOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly onChange: (functionName: string) => void
}

interface Folder {
  readonly watcher: FSWatcher
  /** Functions by the name of each file in this folder. */
  readonly files: Map<string, Set<string>>
}

/** Watches the code of all functions. */
export class CodeWatcher {
  readonly #options: CodeWatcherOptions
  readonly #folders = new Map<string, Folder>()
  readonly #timers = new Map<string, Timer>()
  #isFull = false
  #isClosed = false

  constructor(options: CodeWatcherOptions) {
    this.#options = options
  }

  /** Watches one file for a function, whether it exists or not; its folder must. */
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
    for (const { watcher } of this.#folders.values()) watcher.close()
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
    try {
      const watcher = watch(place, { persistent: false }, (_event, name) => this.#changed(place, name))
      watcher.on('error', error => this.#lost(place, error))
      const folder = { watcher, files: new Map<string, Set<string>>() }
      this.#folders.set(place, folder)
      return folder
    } catch (error) {
      this.#options.logger.warn({ folder: place, error: messageOf(error) }, 'changes in a folder cannot be watched')
      return undefined
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

  #lost(place: string, error: Error): void {
    this.#folders.get(place)?.watcher.close()
    this.#folders.delete(place)
    this.#options.logger.warn({ folder: place, error: messageOf(error) }, 'a folder is watched no longer')
  }
}
