/** The version of this package, for reports. */

import { readFileSync } from 'node:fs'

/** As the manifest says it. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  // Boundary: our own manifest.
  return (JSON.parse(text) as { version: string }).version
}
