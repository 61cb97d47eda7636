/**
 * Text that no terminal takes for a command.
 *
 * Names of groups, clients and topics, and whatever lies in records, are written
 * by anybody. Escape sequences, control characters of both ranges, marks that turn
 * the direction of text, and line ends are shown as escapes (`\e[31m`, `\u202e`,
 * `\n`): what is printed is always one line, and says what is there.
 */

// Control characters and what is not seen: soft hyphen, zero-width and direction marks, tags, the byte order mark; line
// and paragraph separators; halves of surrogate pairs.
const hostile = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

const names: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\u001b': '\\e' }

/** Text with everything escaped that is not seen, or that a terminal would obey. */
export function printableText(text: string): string {
  return text.replace(hostile, char => names[char] ?? `\\u${hexOf(char.codePointAt(0) ?? 0)}`)
}

function hexOf(code: number): string {
  const hex = code.toString(16).padStart(4, '0')
  return hex.length > 4 ? `{${hex}}` : hex
}
