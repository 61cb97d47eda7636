/**
 * Text with places for fields: `{codigo}-{vehicle.id}`. `{{` and `}}` stand for the braces themselves.
 */

/** A template taken apart: the literals stand before, between and behind the fields. */
export interface TextTemplate {
  /** One more than there are fields. */
  readonly literals: readonly string[]
  /** Names of the fields, in order; a name may come more than once. */
  readonly fields: readonly string[]
}

/** Reads a template; a string is what is wrong with it. */
export function readTextTemplate(text: string): TextTemplate | string {
  const literals: string[] = []
  const fields: string[] = []
  let literal = ''
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index]
    if ((char === '{' || char === '}') && text[index + 1] === char) {
      literal += char
      index += 1
    } else if (char === '}') {
      return `has a } without a { at character ${index + 1}; }} stands for the brace itself`
    } else if (char === '{') {
      const end = text.indexOf('}', index)
      const name = end < 0 ? '' : text.slice(index + 1, end)
      if (end < 0) return `has a { without a } at character ${index + 1}; {{ stands for the brace itself`
      if (name === '' || name.includes('{')) return `names no field at character ${index + 1}`
      literals.push(literal)
      fields.push(name)
      literal = ''
      index = end
    } else literal += char
  }
  return { literals: [...literals, literal], fields }
}
