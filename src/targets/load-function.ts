/** A function that somebody else has written, out of the module that the pipeline file names. */

import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { messageOf, PipelineError } from '../core/index.ts'

/** Which function, and what to say if it is not there. */
export interface FunctionToLoad {
  /** Path of the module, relative ones from `baseDir`. */
  readonly file: string
  readonly baseDir: string
  /** Name of the export. */
  readonly name: string
  /** What the file is for, at the beginning of messages. */
  readonly what: string
  readonly code: 'ERR_DISPATCHER_TARGET_INVALID' | 'ERR_DISPATCHER_TRANSFORM_INVALID'
}

/**
 * Imports an exported function. What it takes and returns is checked where it is called.
 *
 * @throws PipelineError `code` if the module cannot be imported or has no such function. Not retriable.
 */
export async function loadFunction<F>({ file, baseDir, name, what, code }: FunctionToLoad): Promise<F> {
  const path = isAbsolute(file) ? file : resolve(baseDir, file)
  let exports: Record<string, unknown>
  try {
    exports = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (error) {
    const message = `${what} ${path} cannot be imported: ${messageOf(error)}`
    throw new PipelineError(code, message, { cause: error })
  }
  const found = exports[name]
  // That it is a function is all that can be known before it is called.
  if (typeof found === 'function') return found as F
  throw new PipelineError(code, `${what} ${path} has no exported function "${name}"`)
}
