/**
 * From a handler name to the function: which file, which export, and Lambda's
 * errors when either is missing.
 *
 * A name is `file.export`; `file` may have its extension or not. When the whole
 * name is a file, the export is `handler`, else the default export. Exports may
 * be nested (`file.api.handler`). A CommonJS module is looked at through its
 * default export too.
 */

import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { RuntimeFailure } from './error-payload.ts'

/** A handler as it was exported; what it takes and returns is checked where it is called. */
export type HandlerFunction = (event: unknown, context: unknown, callback?: unknown) => unknown

/** Where a handler is. */
export interface HandlerLocation {
  readonly file: string
  /** Names to follow from the module; `undefined` = `handler`, else the default export. */
  readonly exportPath: readonly string[] | undefined
}

const EXTENSIONS = ['', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']

/** Finds the file of a handler name; `undefined` if there is none. */
export function locateHandler(handler: string, taskRoot: string): HandlerLocation | undefined {
  const whole = path.resolve(taskRoot, handler)
  if (isFile(whole)) return { file: whole, exportPath: undefined }
  const folder = path.dirname(whole)
  const parts = path.basename(whole).split('.')
  // The longest file name first: `a.b.handler` is `a.b` if there is such a file.
  for (let count = parts.length - 1; count >= 1; count -= 1) {
    const stem = path.join(folder, parts.slice(0, count).join('.'))
    for (const extension of EXTENSIONS) {
      if (isFile(stem + extension)) return { file: stem + extension, exportPath: parts.slice(count) }
    }
  }
  return undefined
}

/**
 * Loads the handler.
 *
 * @throws Error named `Runtime.ImportModuleError`, `Runtime.UserCodeSyntaxError` or `Runtime.HandlerNotFound`, or
 *   whatever the module itself threw while it was loaded.
 */
export async function loadHandler(handler: string, taskRoot: string): Promise<HandlerFunction> {
  const location = locateHandler(handler, taskRoot)
  if (location === undefined) {
    const name = handler.replace(/\.[^./]*$/, '')
    throw new RuntimeFailure('ImportModuleError', `Error: Cannot find module '${name}'`)
  }
  const found = resolveExport(await importModule(location.file), location.exportPath)
  if (found === undefined || found === null) {
    throw new RuntimeFailure('HandlerNotFound', `${handler} is undefined or not exported`)
  }
  if (typeof found !== 'function') throw new RuntimeFailure('HandlerNotFound', `${handler} is not a function`)
  // Boundary: any function is called as a handler; its answer is checked afterwards.
  return found as HandlerFunction
}

async function importModule(file: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(file).href)
  } catch (error) {
    if (error instanceof SyntaxError) throw new RuntimeFailure('UserCodeSyntaxError', String(error), error.stack)
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') {
      throw new RuntimeFailure('ImportModuleError', String(error))
    }
    throw error
  }
}

function resolveExport(module: unknown, exportPath: readonly string[] | undefined): unknown {
  const fallback = follow(module, ['default'])
  if (exportPath !== undefined) return follow(module, exportPath) ?? follow(fallback, exportPath)
  const named = follow(module, ['handler']) ?? follow(fallback, ['handler'])
  return named ?? (typeof fallback === 'function' ? fallback : undefined)
}

function follow(start: unknown, names: readonly string[]): unknown {
  let at = start
  for (const name of names) {
    const isObject = (typeof at === 'object' && at !== null) || typeof at === 'function'
    if (!isObject) return undefined
    // Boundary: a module is an object of unknown members.
    at = (at as Record<string, unknown>)[name]
  }
  return at
}

function isFile(file: string): boolean {
  return existsSync(file) && statSync(file).isFile()
}
