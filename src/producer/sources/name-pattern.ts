/** Patterns of file names: `*` any characters, `?` one, `{a,b}` one of several; everything else is itself. */

/**
 * Whether names match a pattern. A name that begins with a dot matches only a pattern that does.
 *
 * @param pattern - Braces may hold the other signs, but not braces.
 */
export function nameMatcher(pattern: string): (name: string) => boolean {
  const expression = new RegExp(`^(?:${translate(pattern)})$`, 's')
  const mayBeHidden = pattern.startsWith('.')
  return name => (mayBeHidden || !name.startsWith('.')) && expression.test(name)
}

function translate(pattern: string): string {
  let result = ''
  for (let at = 0; at < pattern.length; at += 1) {
    const sign = pattern[at] ?? ''
    const end = sign === '{' ? pattern.indexOf('}', at) : -1
    if (end > at) {
      const choices = pattern.slice(at + 1, end).split(',')
      result += `(?:${choices.map(choice => translate(choice)).join('|')})`
      at = end
    } else if (sign === '*') {
      if (pattern[at - 1] !== '*') result += '.*' // several in a row say no more, and would cost much
    } else {
      result += sign === '?' ? '.' : sign.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&')
    }
  }
  return result
}
