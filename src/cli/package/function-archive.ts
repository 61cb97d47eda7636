/** The archive that AWS Lambda takes as a function's code. */

import { type Zippable, zipSync } from 'fflate'

/** The oldest time that the format holds: the same files give the same archive, and AWS sees that nothing changed. */
const FILE_TIME = new Date(1980, 0, 1)
/** Plain files that everybody may read: Lambda runs them as another user. */
const FILE_ATTRIBUTES = 0o100_644 << 16
const UNIX = 3

/** Packs files, by name, into a zip archive. The same files give the same bytes, in whatever order they come. */
export function functionArchive(files: ReadonlyMap<string, Uint8Array>): Buffer {
  const entries: Zippable = {}
  for (const [name, content] of [...files].toSorted(([left], [right]) => (left < right ? -1 : 1))) {
    entries[name] = [content, { level: 9, mtime: FILE_TIME, os: UNIX, attrs: FILE_ATTRIBUTES }]
  }
  return Buffer.from(zipSync(entries))
}
