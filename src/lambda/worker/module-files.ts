/**
 * Tells which files a function consists of, as Node finds them: what hot reload
 * watches. Modules below `node_modules` and those of this package are left out.
 */

import { registerHooks } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const OWN_ROOM = path.resolve(import.meta.dirname, '../..') + path.sep

/** Calls once for each file that is resolved from now on, also for those that turn out to be absent. */
export function reportModuleFiles(report: (file: string) => void): void {
  const seen = new Set<string>()
  const note = (url: string): void => {
    if (!url.startsWith('file:') || seen.has(url)) return
    seen.add(url)
    const file = fileURLToPath(url)
    if (!file.includes(`${path.sep}node_modules${path.sep}`) && !file.startsWith(OWN_ROOM)) report(file)
  }
  registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        const found = nextResolve(specifier, context)
        note(found.url)
        return found
      } catch (error) {
        // A file that comes later repairs the function: its place is watched, too.
        const isPath = /^\.{0,2}\//.test(specifier)
        const wanted = isPath ? URL.parse(specifier, context.parentURL) : null
        if (wanted !== null) note(wanted.href)
        throw error
      }
    }
  })
}
