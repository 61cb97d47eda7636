/**
 * The pages: files in memory, compressed once.
 *
 * From the package they are in `dist/console/pages`; in a checkout they are bundled when somebody asks for the first
 * one, which a pipeline that nobody looks at never pays for.
 */

import { existsSync, globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

import { messageOf, PipelineError } from '../../core/index.ts'
import { ASSETS, type BuiltFile, buildPages } from './page-builder.ts'

/** A file as it is sent. */
export interface PageFile {
  readonly type: string
  readonly plain: Buffer
  readonly gzip: Buffer | undefined
  readonly brotli: Buffer | undefined
  /** Whether its name changes with what is in it. */
  readonly isHashed: boolean
}

/** The files by path, `index.html` among them. */
export type PageFiles = ReadonlyMap<string, PageFile>

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8'
}

/** What compresses well; below this size it is not worth the headers. */
const compressible = /^(?:text|application)\/|svg/
const COMPRESS_FROM_BYTES = 600

/** Suffixes of files that the build has compressed already. */
const compressed: Readonly<Record<string, 'gzip' | 'brotli'>> = { '.gz': 'gzip', '.br': 'brotli' }

/**
 * Reads the pages of the package, or builds those of a checkout.
 *
 * @param room - Folder with `pages`, or with the sources in `web`.
 * @throws PipelineError `ERR_CONSOLE_PAGES`.
 */
export async function loadPages(room = join(import.meta.dirname, '..')): Promise<PageFiles> {
  const builtDir = join(room, 'pages')
  try {
    if (existsSync(builtDir)) return await readPages(builtDir)
    return await servedFiles(await buildPages(join(room, 'web')))
  } catch (error) {
    throw new PipelineError('ERR_CONSOLE_PAGES', `there are no pages: ${messageOf(error)}`, { cause: error })
  }
}

/** Compresses what the build made. */
export async function servedFiles(files: readonly BuiltFile[]): Promise<PageFiles> {
  const served = files.map(async ({ path, contents }) => {
    const plain = Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength)
    return [path, await servedFile(path, plain)] as const
  })
  return new Map(await Promise.all(served))
}

async function servedFile(path: string, plain: Buffer): Promise<PageFile> {
  const type = typeOf(path)
  if (!compressible.test(type) || plain.length < COMPRESS_FROM_BYTES) {
    return { type, plain, gzip: undefined, brotli: undefined, isHashed: isHashed(path) }
  }
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }
  const [small, smaller] = await Promise.all([promisify(gzip)(plain), promisify(brotliCompress)(plain, quality)])
  return { type, plain, gzip: small, brotli: smaller, isHashed: isHashed(path) }
}

async function readPages(folder: string): Promise<PageFiles> {
  const found = globSync('**/*.*', { cwd: folder }).map(path => path.replaceAll('\\', '/'))
  const names = found.filter(path => compressed[extname(path)] === undefined)
  const read = async (name: string): Promise<Buffer | undefined> =>
    found.includes(name) ? await readFile(join(folder, name)) : undefined
  const files = names.map(async (path): Promise<readonly [string, PageFile]> => {
    const [plain, small, smaller] = await Promise.all([
      readFile(join(folder, path)),
      read(`${path}.gz`),
      read(`${path}.br`)
    ])
    return [path, { type: typeOf(path), plain, gzip: small, brotli: smaller, isHashed: isHashed(path) }]
  })
  return new Map(await Promise.all(files))
}

function typeOf(path: string): string {
  return TYPES[extname(path)] ?? 'application/octet-stream'
}

function isHashed(path: string): boolean {
  return path.startsWith(`${ASSETS}/`)
}

/** The form of a file that a browser takes, by its Accept-Encoding. */
export function formOf(file: PageFile, accepted: string | undefined): { body: Buffer; encoding: string | undefined } {
  const taken = new Set((accepted ?? '').toLowerCase().split(',').filter(isTaken).map(nameOf))
  if (file.brotli !== undefined && taken.has('br')) return { body: file.brotli, encoding: 'br' }
  if (file.gzip !== undefined && taken.has('gzip')) return { body: file.gzip, encoding: 'gzip' }
  return { body: file.plain, encoding: undefined }
}

function nameOf(coding: string): string {
  return coding.split(';')[0]?.trim() ?? ''
}

/** `br;q=0` says that it is not taken. */
function isTaken(coding: string): boolean {
  return !/;\s*q=0(?:\.0*)?\s*$/.test(coding)
}
