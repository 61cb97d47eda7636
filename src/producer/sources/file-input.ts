/** Opens files of lines: plain ones at a position, compressed ones from their start. */

import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

import { checkPoint, type FileIdentity, HEAD_BYTES_MAX, type PointCheck, type ResumePoint } from './resume-point.ts'

/** Bytes of one read of a file. */
const FILE_READ_BYTES = 262_144

/** An input that was opened. */
export interface OpenedInput {
  readonly stream: Readable
  /** Size of the whole input, where it is known. */
  readonly totalBytes?: number
  /** Where the stream begins, if it was opened at a position. Default: at the start of the input. */
  readonly from?: {
    readonly bytes: number
    readonly lines: number
    /** The first bytes of the input. */
    readonly head: Buffer
  }
  readonly file?: FileIdentity
}

/** A file that was opened, and whether it is the one of the point, where that can be seen before it is read. */
export interface OpenedFile {
  readonly input: OpenedInput
  readonly check?: PointCheck
}

/**
 * Opens a file, or a named pipe, for reading.
 *
 * @param point - Where to begin. A compressed file begins at its start all the same.
 * @throws Error if it cannot be opened, is a folder, or has a point and is no regular file.
 */
export async function openInput(path: string, point: ResumePoint | undefined): Promise<OpenedFile> {
  const entry = await stat(path)
  if (entry.isDirectory()) throw new Error(`${path} is a directory`)
  if (entry.isFile()) return await openFile(await open(path), { path, point })
  if (point !== undefined) throw new Error(`${path} is no regular file: it has no position to go on from`)
  return { input: { stream: createReadStream(path, { highWaterMark: FILE_READ_BYTES }) } }
}

/** Reads a file that is open already; the handle is closed with the stream. */
export async function openFile(
  handle: FileHandle,
  options: { readonly path: string; readonly point?: ResumePoint | undefined }
): Promise<OpenedFile> {
  const { path, point } = options
  try {
    const { size, ino, dev } = await handle.stat({ bigint: true })
    const file: FileIdentity = { device: String(dev), inode: String(ino) }
    if (isCompressed(path)) {
      return { input: { stream: decompressed(handle.createReadStream({ highWaterMark: FILE_READ_BYTES })), file } }
    }
    const totalBytes = Number(size)
    const input = { totalBytes, file }
    if (point === undefined) {
      return { input: { ...input, stream: handle.createReadStream({ highWaterMark: FILE_READ_BYTES }) } }
    }
    const check = await checkPoint(point, (position, bytes) => readPart(handle, position, bytes))
    const start = check.kind === 'same' ? check.skipBytes : 0
    const head = await readPart(handle, 0, HEAD_BYTES_MAX)
    const stream = handle.createReadStream({ start, highWaterMark: FILE_READ_BYTES })
    return { input: { ...input, stream, from: { bytes: start, lines: point.lines, head } }, check }
  } catch (error) {
    await handle.close().catch(() => undefined) // the first error says why
    throw error
  }
}

/** Whether the name of a file says that it is compressed. */
export function isCompressed(path: string): boolean {
  return path.endsWith('.gz')
}

/** Bytes of a file from a position on; fewer only if it ends before. */
export async function readPart(handle: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes)
  let length = 0
  while (length < bytes) {
    const { bytesRead } = await handle.read(buffer, length, bytes - length, position + length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

/** The bytes of gzip data, whose end or failure is the file's. */
function decompressed(file: Readable): Readable {
  const gunzip = createGunzip({ chunkSize: 65_536 })
  file.on('error', error => gunzip.destroy(error))
  gunzip.on('close', () => file.destroy())
  return file.pipe(gunzip)
}
