/** Which variables of the environment a part of the pipeline file stands on. */

import { parseDocument } from 'yaml'

const reference = /(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)/g

/** The names in `${NAME}` and `${NAME:-default}` below a path of the file, in order, each once. */
export function variablesIn(text: string, path: readonly string[]): string[] {
  const section: unknown = parseDocument(text).getIn(path)
  const names = [...JSON.stringify(section ?? null).matchAll(reference)].map(match => match[1] ?? '')
  return [...new Set(names)]
}
