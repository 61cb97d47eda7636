/**
 * Which headers may be configured for requests over HTTP/1.1.
 *
 * The rules for names and values are those of RFC 9110 §5 (a token; visible
 * characters, spaces and tabs in between). Headers that tell where a request ends
 * or how its connection is used belong to whoever writes the request.
 */

const FRAMING = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'expect', 'te'])
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * What is wrong with a header.
 *
 * @returns One clause without the value, which may be a secret; `undefined` if it may be sent.
 */
export function headerProblem(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return 'is not the name of a header'
  if (FRAMING.has(name.toLowerCase())) return 'is a header that the client sets itself'
  return VALUE.test(value) ? undefined : 'has a value that a header cannot hold'
}
