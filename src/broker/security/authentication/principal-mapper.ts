/**
 * From a certificate's subject to the name of a principal: Kafka's
 * `ssl.principal.mapping.rules`.
 *
 *   rules => rule ("," rule)*
 *   rule  => "DEFAULT" | "RULE:" pattern "/" replacement "/" ["L" | "U"]
 *
 * The first rule whose pattern matches the whole subject gives the name, with
 * `$1` for its groups, in lower or upper case if it says so; `DEFAULT` gives the
 * subject as it is. Patterns are JavaScript's: what both languages know (groups,
 * classes, quantifiers) reads the same. Source: KIP-371.
 */

/** Name of a principal for a subject; `undefined` if no rule applies. */
export type PrincipalMapper = (subject: string) => string | undefined

const RULE = new RegExp(
  String.raw`\s*(?:(?<isDefault>DEFAULT)` +
    String.raw`|RULE:(?<pattern>(?:\\.|[^\\/])*)/(?<replacement>(?:\\.|[^\\/])*)/(?<letters>[LU]?))\s*(?:,|$)`,
  'y'
)

/**
 * Reads rules.
 *
 * @returns The mapper, or what is wrong with the rules, as a sentence.
 */
export function principalMapper(rules: string): PrincipalMapper | { readonly problem: string } {
  const mappers: PrincipalMapper[] = []
  const text = rules.trim()
  let position = 0
  while (position < text.length) {
    const rest = text.slice(position)
    RULE.lastIndex = position
    const groups = RULE.exec(text)?.groups
    if (groups === undefined) return { problem: `the rule "${rest}" is neither DEFAULT nor RULE:pattern/replacement/` }
    position = RULE.lastIndex
    const { isDefault, pattern = '', replacement = '', letters } = groups
    const mapper = isDefault === undefined ? ruleMapper(pattern, replacement, letters) : (subject: string) => subject
    if (mapper === undefined) return { problem: `the pattern "${pattern}" is no regular expression` }
    mappers.push(mapper)
  }
  return subject => {
    for (const map of mappers) {
      const name = map(subject)
      if (name !== undefined) return name
    }
    return undefined
  }
}

function ruleMapper(pattern: string, replacement: string, letters: string | undefined): PrincipalMapper | undefined {
  let expression: RegExp
  try {
    expression = new RegExp(`^(?:${pattern})$`, 'u')
  } catch {
    return undefined // the caller says which pattern it is
  }
  return subject => {
    const match = expression.exec(subject)
    if (match === null) return undefined
    const name = fill(replacement, match)
    if (letters === 'L') return name.toLowerCase()
    return letters === 'U' ? name.toUpperCase() : name
  }
}

/** Puts groups in: `$n` is the longest number that is a group, and stays as it is if there is none. */
function fill(replacement: string, match: RegExpExecArray): string {
  const groupCount = match.length - 1
  return replacement.replaceAll(/\\(.)|\$(\d+)/g, (whole, escaped: string | undefined, digits: string | undefined) => {
    if (digits === undefined) return escaped ?? whole
    for (let length = digits.length; length > 0; length--) {
      const index = Number(digits.slice(0, length))
      if (index <= groupCount) return (match[index] ?? '') + digits.slice(length)
    }
    return whole
  })
}
