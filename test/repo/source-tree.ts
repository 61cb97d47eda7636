/** What the checks of the repository read: its files, their text, their imports. */

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** The repository's folder. */
export const root = join(import.meta.dirname, '../..')

/** Paths, relative to the repository, of all files that are in it or are about to be added, in order. */
export function repositoryFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024
  })
  return listed
    .split('\0')
    .filter(file => file !== '' && existsSync(join(root, file)))
    .toSorted()
}

/** Paths of the TypeScript files below some folders; generated ones only when asked for. */
export function typeScriptFiles(folders: readonly string[], options: { isGeneratedIncluded?: boolean } = {}): string[] {
  return repositoryFiles().filter(
    file =>
      /\.tsx?$/.test(file) &&
      folders.some(folder => file.startsWith(`${folder}/`)) &&
      (options.isGeneratedIncluded === true || !isGenerated(file))
  )
}

/** Whether a file is a generator's output. */
export function isGenerated(file: string): boolean {
  return file.includes('/generated/')
}

/** The text of a file of the repository. */
export function textOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** The room of a source file: the folder below `src`. */
export function roomOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1]
}

/** One import or re-export of a file, of values or of types. */
export interface ImportEdge {
  readonly from: string
  /** As written. */
  readonly specifier: string
  /** Path in the repository, or `undefined` for a package or a module of Node. */
  readonly to: string | undefined
}

const importForms = [
  /^import\s+(?:type\s+)?[\w$*\s{},]+?\s+from\s+'([^']+)'/gm,
  /^export\s+(?:type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s+from\s+'([^']+)'/gm,
  /^import\s+'([^']+)'/gm,
  /\bimport\(\s*'([^']+)'\s*\)/g,
  /\bnew URL\(\s*'(\.[^']+)',\s*import\.meta\.url\s*\)/g
]

/** All imports of a TypeScript file, type-only and dynamic ones and files started as workers included. */
export function importsOf(file: string): ImportEdge[] {
  const code = withoutComments(textOf(file))
  const edges: ImportEdge[] = []
  for (const form of importForms) {
    for (const match of code.matchAll(form)) {
      const specifier = match[1] ?? ''
      const isRelative = specifier.startsWith('.')
      const to = isRelative ? relative(root, resolve(root, dirname(file), specifier)) : undefined
      edges.push({ from: file, specifier, to })
    }
  }
  return edges
}

/** The code with its comments blanked out, line by line as before. */
export function withoutComments(code: string): string {
  return lex(code)
    .map(token => (token.kind === 'comment' ? blank(token.text) : token.text))
    .join('')
}

/** The code with comments and the contents of strings and regular expressions blanked out. */
export function bareCode(code: string): string {
  return lex(code)
    .map(token => (token.kind === 'code' ? token.text : blank(token.text)))
    .join('')
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ')
}

interface Token {
  readonly kind: 'code' | 'comment' | 'string'
  readonly text: string
}

// A slash starts a regular expression where an operand may stand.
const beforeRegex = /(?:^|[(,=:[!&|?{};+>]|\breturn|\bcase)\s*$/
const pieces: readonly { kind: Token['kind']; pattern: RegExp }[] = [
  { kind: 'comment', pattern: /\/\/[^\n]*|\/\*[\s\S]*?\*\//y },
  { kind: 'string', pattern: /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/y }
]
const regexLiteral = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*/y

function lex(code: string): Token[] {
  const tokens: Token[] = []
  let position = 0
  let codeStart = 0
  const take = (kind: Token['kind'], end: number): void => {
    if (position > codeStart) tokens.push({ kind: 'code', text: code.slice(codeStart, position) })
    tokens.push({ kind, text: code.slice(position, end) })
    position = end
    codeStart = end
  }
  while (position < code.length) {
    const piece = pieceAt(code, position, codeStart)
    if (piece === undefined) position++
    else take(piece.kind, piece.end)
  }
  if (position > codeStart) tokens.push({ kind: 'code', text: code.slice(codeStart) })
  return tokens
}

function pieceAt(code: string, position: number, codeStart: number): { kind: Token['kind']; end: number } | undefined {
  for (const { kind, pattern } of pieces) {
    pattern.lastIndex = position
    if (pattern.test(code)) return { kind, end: pattern.lastIndex }
  }
  if (code[position] === '`') return { kind: 'string', end: templateEnd(code, position) }
  if (code[position] !== '/' || !beforeRegex.test(code.slice(codeStart, position))) return undefined
  regexLiteral.lastIndex = position
  return regexLiteral.test(code) ? { kind: 'string', end: regexLiteral.lastIndex } : undefined
}

/** End of a template literal; the code inside `${}` counts as its text. */
function templateEnd(code: string, start: number): number {
  let depth = 0
  for (let position = start + 1; position < code.length; position++) {
    const character = code[position]
    if (character === '\\') position++
    else if (depth === 0 && character === '`') return position + 1
    else if (character === '$' && code[position + 1] === '{') {
      depth++
      position++
    } else if (depth > 0 && character === '{') depth++
    else if (depth > 0 && character === '}') depth--
    else if (depth > 0 && character === '`') position = templateEnd(code, position) - 1
  }
  return code.length
}

/** Line number, from 1, of a position in a text. */
export function lineOf(text: string, position: number): number {
  return text.slice(0, position).split('\n').length
}

/** `file:line: what` for every match of a pattern (with the flag `g`) in a text. */
export function findings(file: string, text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(match => `${file}:${lineOf(text, match.index)}: ${match[0].trim()}`)
}
