/**
 * Java properties files, as Kafka's `server.properties` is one, and the
 * references to secrets that Kafka's own config providers resolve.
 *
 *   line      => name ("=" | ":" | space) value, "#" or "!" begins a comment, "\" at the end continues the line
 *   reference => "${env:NAME}" | "${file:path:name}" | "${directory:path:file}"
 *
 * A reference is replaced by a variable of the environment, a value of another
 * properties file, or the content of a file in a folder (how secrets are mounted
 * in containers). Source: `java.util.Properties`, KIP-297, KIP-421, KIP-632.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, PipelineError } from '../core/index.ts'

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f' }

/** Reads the text of a properties file. Later values win. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  const lines = text.split(/\r\n|\n|\r/)
  for (let index = 0; index < lines.length; index++) {
    let line = (lines[index] ?? '').trimStart()
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue
    while (/(?<!\\)(?:\\\\)*\\$/.test(line) && index + 1 < lines.length) {
      index += 1
      line = line.slice(0, -1) + (lines[index] ?? '').trimStart()
    }
    const match = /^((?:\\.|[^\\\s=:])*)(?:\s*[=:]\s*|\s+|$)(.*)$/s.exec(line)
    if (match?.[1] !== undefined) properties.set(unescape(match[1]), unescape(match[2] ?? ''))
  }
  return properties
}

function unescape(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_whole, code: string | undefined, letter: string) =>
    code === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16))
  )
}

/**
 * Puts the values in that references name.
 *
 * @throws PipelineError `ERR_CLI_INPUT` if one cannot be resolved; the message names the reference, never the value.
 */
export function resolveReferences(value: string, environment: Readonly<Record<string, string | undefined>>): string {
  return value.replaceAll(
    /\$\{(env|file|directory):([^}]+)\}/g,
    (whole: string, provider: string, argument: string): string => {
      const found = provider === 'env' ? environment[argument] : fromFile(whole, provider, argument)
      if (found === undefined) throw new PipelineError('ERR_CLI_INPUT', `${whole} has no value`)
      return found
    }
  )
}

function fromFile(reference: string, provider: string, argument: string): string | undefined {
  const at = argument.lastIndexOf(':')
  const [path, key] = [argument.slice(0, Math.max(at, 0)), argument.slice(at + 1)]
  if (path === '') throw new PipelineError('ERR_CLI_INPUT', `${reference} must be \${${provider}:path:name}`)
  if (provider === 'directory') return readInput(join(path, key), reference).replace(/\r?\n$/, '')
  return parseProperties(readInput(path, reference)).get(key)
}

/**
 * The text of a file that the user named.
 *
 * @param where - Where it was named: said with the error.
 * @throws PipelineError `ERR_CLI_INPUT`.
 */
export function readInput(path: string, where?: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const prefix = where === undefined ? '' : `${where}: `
    throw new PipelineError('ERR_CLI_INPUT', `${prefix}${messageOf(cause)}`, { cause })
  }
}
