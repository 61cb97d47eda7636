/** Which variables of the environment a part of the pipeline file stands on. */

import { parseDocument } from 'yaml'

const reference = /(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)/g

/** The names in `${NAME}` and `${NAME:-default}` below a path of the file, in order, each once. */
export function variablesIn(text: string, path: readonly string[]): string[] {
  // As values, not as nodes: a part may be an alias of one that stands elsewhere.
  const root: unknown = parseDocument(text).toJS({ maxAliasCount: 100 })
  const names = [...JSON.stringify(valueAt(root, path) ?? null).matchAll(reference)].map(match => match[1] ?? '')
  return [...new Set(names)]
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  let at = root
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    // Boundary: a parsed file is an object of unknown members.
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}
