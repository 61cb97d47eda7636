/** The state of a follower: the point in the file that it reads, and the files that it has finished. */

import { readPoint, type ResumePoint } from './resume-point.ts'
import type { FinishedFile } from './rotated-files.ts'

/** How far a follower is. */
export interface FollowedState {
  readonly point: ResumePoint
  /** When the file was last written as it was read, in milliseconds since 1970: files of later times come after it. */
  readonly modifiedMs: number
  /** Files that were read to their end, newest last. */
  readonly finished: readonly FinishedFile[]
}

/** A state out of a state file; `undefined` if it is none. */
export function readFollowedState(value: unknown): FollowedState | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { point, modifiedMs, finished } = value as { [K in keyof FollowedState]?: unknown }
  const read = readPoint(point)
  if (read?.file === undefined || typeof modifiedMs !== 'number' || !Array.isArray(finished)) return undefined
  const files = finished.map(readFinished).filter(each => each !== undefined)
  return files.length === finished.length ? { point: read, modifiedMs, finished: files } : undefined
}

/** Read as a point at the file's beginning, which has the same two parts. */
function readFinished(value: unknown): FinishedFile | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { file, head } = value as { [K in keyof FinishedFile]?: unknown }
  const bytes = typeof head === 'object' && head !== null && 'bytes' in head ? head.bytes : undefined
  const point = readPoint({ bytes, lines: 0, isLineEnded: true, head, tail: head, file })
  return point?.file === undefined ? undefined : { file: point.file, head: point.head }
}
