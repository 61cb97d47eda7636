/**
 * One line of JAAS configuration, as far as Kafka's broker settings use it:
 * `sasl.jaas.config` of a listener and mechanism.
 *
 *   config => class flag (name "=" value)* ";"
 *
 * Values may stand in quotes, with `\"` and `\\` inside.
 */

/** Options by name; `undefined` if the text is no such line. */
export function parseJaas(text: string): Map<string, string> | undefined {
  const head = /^\s*[\w.$]+\s+(?:required|requisite|sufficient|optional)\b/i.exec(text)
  if (head === null) return undefined
  const options = new Map<string, string>()
  const option = /\s*(?:([\w.@-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([^\s;"']+))|;\s*$)/y
  option.lastIndex = head[0].length
  while (option.lastIndex < text.length) {
    const match = option.exec(text)
    if (match === null) return undefined
    const [, name, doubleQuoted, singleQuoted, bare = ''] = match
    if (name === undefined) return options
    options.set(name, (doubleQuoted ?? singleQuoted)?.replaceAll(/\\(.)/g, '$1') ?? bare)
  }
  return undefined // the semicolon is missing
}
