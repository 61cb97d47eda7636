/** The rooms of the package: its sources, or what is published, through the names that users import. */

import { globSync, statSync } from 'node:fs'
import path from 'node:path'

const root = path.join(import.meta.dirname, '../..')

/** @throws Error if `dist` is older than the sources: its figures would be those of another commit. */
export function checkFreshness(): void {
  const newest = (folder: string, pattern: string): number =>
    Math.max(
      0,
      ...globSync(pattern, { cwd: path.join(root, folder) }).map(file => changedMs(path.join(root, folder, file)))
    )
  if (newest('dist', '**/*.js') >= newest('src', '**/*.ts')) return
  throw new Error('dist is missing or older than the sources: npm run build, or --from source')
}

function changedMs(file: string): number {
  return statSync(file).mtimeMs
}

/** Rooms that the benchmarks use. */
export interface Doors {
  readonly client: typeof import('../../src/client/index.ts')
  readonly config: typeof import('../../src/config/index.ts')
  readonly dispatcher: typeof import('../../src/dispatcher/index.ts')
  readonly targets: typeof import('../../src/targets/index.ts')
}

/** Opens them: `source` or `dist`. */
export async function openDoors(from: string): Promise<Doors> {
  const room = <T>(name: string): Promise<T> =>
    // Both forms have the same types: the published ones are built from the sources.
    import(from === 'dist' ? `comporta/${name}` : `../../src/${name}/index.ts`) as Promise<T>
  return {
    client: await room('client'),
    config: await room('config'),
    dispatcher: await room('dispatcher'),
    targets: await room('targets')
  }
}
