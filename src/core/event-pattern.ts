/**
 * Event patterns: the filter language of Amazon EventBridge and of Lambda's event source mappings.
 *
 * ```
 * { "vehicle": { "code": [400, { "numeric": [">=", 900] }] }, "type": [{ "anything-but": ["ping"] }] }
 * ```
 *
 * Fields of an object must all match; of the entries in a list one must. A list in the event matches if one of its
 * elements does, and fields below it must match in the same element. A field that is missing matches `exists: false`
 * only, `anything-but` included. Compiled once, then pure.
 *
 * Source: Amazon EventBridge user guide, "Comparison operators for use in event patterns".
 */

/** Tells whether a parsed JSON value matches; `undefined` = there is none. */
export type EventPattern = (value: unknown) => boolean

/** Takes what is wrong with a pattern, and where in it. */
export type PatternReport = (path: readonly PropertyKey[], message: string) => void

interface Place {
  readonly path: readonly PropertyKey[]
  readonly report: PatternReport
}

const NEVER: EventPattern = () => false
const DEPTH_MAX = 32

/** Compiles a pattern: an object of fields, or a list of what a plain value may be. Every problem is reported. */
export function compileEventPattern(pattern: unknown, report: PatternReport): EventPattern {
  return compileNode(pattern, { path: [], report })
}

function compileNode(node: unknown, place: Place): EventPattern {
  if (place.path.length > DEPTH_MAX) return wrong(place, `a pattern has at most ${DEPTH_MAX} levels`)
  if (Array.isArray(node)) return compileLeaf(node, place)
  if (isObject(node)) return compileFields(node, place)
  return wrong(place, 'must be a list of allowed values, for example ["a", {"prefix": "b"}], or an object of fields')
}

function compileFields(fields: Record<string, unknown>, place: Place): EventPattern {
  const entries = Object.entries(fields)
  if (entries.length === 0) return wrong(place, 'names no field')
  const parts = entries.map(([name, node]) => {
    if (name === '$or') return compileOr(node, within(place, name))
    const matches = compileNode(node, within(place, name))
    return (value: unknown): boolean => matches(isObject(value) ? ownValue(value, name) : undefined)
  })
  const matchesObject = (value: unknown): boolean => parts.every(part => part(value))
  return value => (Array.isArray(value) ? value.some(matchesObject) : matchesObject(value))
}

function compileOr(node: unknown, place: Place): EventPattern {
  if (!Array.isArray(node) || node.length < 2) return wrong(place, 'must be a list of at least two objects')
  const parts = node.map((each: unknown, index) => {
    if (isObject(each)) return compileFields(each, within(place, index))
    return wrong(within(place, index), 'must be an object of fields')
  })
  return value => parts.some(part => part(value))
}

/** A list of what the value may be. */
function compileLeaf(list: readonly unknown[], place: Place): EventPattern {
  if (list.length === 0) return wrong(place, 'is empty: nothing would ever match')
  const matchers = list.map((entry, index) => compileMatcher(entry, within(place, index)))
  return value => {
    if (!Array.isArray(value)) return matchers.some(matches => matches(value))
    // An empty list is there, but has no value that could match.
    return value.some(element => matchers.some(matches => matches(element)))
  }
}

function compileMatcher(entry: unknown, place: Place): EventPattern {
  if (!isObject(entry)) {
    return isPlain(entry) ? value => value === entry : wrong(place, 'must be text, a number, true, false or null')
  }
  const [operator, ...others] = Object.keys(entry)
  if (operator === undefined || others.length > 0) return wrong(place, 'must have exactly one operator')
  const inner = within(place, operator)
  const operand = entry[operator]
  switch (operator) {
    case 'prefix':
    case 'suffix':
    case 'equals-ignore-case':
    case 'wildcard':
      return compileText(operator, operand, inner)
    case 'numeric':
      return compileNumeric(operand, inner)
    case 'exists':
      if (typeof operand !== 'boolean') return wrong(inner, 'must be true or false')
      return value => (value !== undefined) === operand
    case 'anything-but':
      return compileAnythingBut(operand, inner)
    default:
      return wrong(
        inner,
        'is no operator; there are: prefix, suffix, equals-ignore-case, wildcard, numeric, exists, anything-but'
      )
  }
}

function compileText(operator: string, operand: unknown, place: Place): EventPattern {
  if (isObject(operand) && (operator === 'prefix' || operator === 'suffix')) {
    const folded = operand['equals-ignore-case']
    if (typeof folded !== 'string') return wrong(place, 'must be text, or {"equals-ignore-case": text}')
    return ifText(textTest(operator, folded.toLowerCase()), text => text.toLowerCase())
  }
  if (typeof operand !== 'string') return wrong(place, 'must be text')
  if (operator === 'equals-ignore-case') return ifText(textTest('equals', operand.toLowerCase()), lower)
  if (operator !== 'wildcard') return ifText(textTest(operator, operand))
  if (operand.includes('**')) return wrong(place, 'has two * in a row')
  return ifText(wildcard(operand))
}

const lower = (text: string): string => text.toLowerCase()

function ifText(test: (text: string) => boolean, fold?: (text: string) => string): EventPattern {
  return value => typeof value === 'string' && test(fold === undefined ? value : fold(value))
}

function textTest(operator: string, operand: string): (text: string) => boolean {
  if (operator === 'prefix') return text => text.startsWith(operand)
  if (operator === 'suffix') return text => text.endsWith(operand)
  return text => text === operand
}

/** `*` stands for any text. Piece by piece from left to right: no backtracking that a hostile value could feed. */
function wildcard(pattern: string): (text: string) => boolean {
  const [first = '', ...pieces] = pattern.split('*')
  const last = pieces.pop()
  if (last === undefined) return text => text === first
  return text => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    const end = text.length - last.length
    let position = first.length
    for (const piece of pieces) {
      const found = text.indexOf(piece, position)
      if (found < 0 || found + piece.length > end) return false
      position = found + piece.length
    }
    return true
  }
}

const COMPARISONS: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '=': (value, bound) => value === bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound
}

function compileNumeric(operand: unknown, place: Place): EventPattern {
  const message = 'must be a list like [">", 10, "<=", 20]'
  if (!Array.isArray(operand) || (operand.length !== 2 && operand.length !== 4)) return wrong(place, message)
  const tests: ((value: number) => boolean)[] = []
  for (let index = 0; index < operand.length; index += 2) {
    const name: unknown = operand[index]
    const bound: unknown = operand[index + 1]
    const compare = typeof name === 'string' && Object.hasOwn(COMPARISONS, name) ? COMPARISONS[name] : undefined
    if (compare === undefined || typeof bound !== 'number') return wrong(place, message)
    tests.push(value => compare(value, bound))
  }
  return value => typeof value === 'number' && tests.every(test => test(value))
}

function compileAnythingBut(operand: unknown, place: Place): EventPattern {
  const excluded = excludedOf(operand, place)
  return value => value !== undefined && !excluded(value)
}

function excludedOf(operand: unknown, place: Place): EventPattern {
  if (isObject(operand)) {
    const [operator, ...others] = Object.keys(operand)
    const inner = operator === undefined ? undefined : operand[operator]
    if (operator === undefined || others.length > 0 || !TEXT_OPERATORS.has(operator)) {
      return wrong(place, 'must be a value, a list of values, or one of prefix, suffix, equals-ignore-case, wildcard')
    }
    const operands = (Array.isArray(inner) ? inner : [inner]) as readonly unknown[]
    const tests = operands.map(each => compileText(operator, each, within(place, operator)))
    return value => tests.some(test => test(value))
  }
  const values = (Array.isArray(operand) ? operand : [operand]) as readonly unknown[]
  if (values.length === 0 || !values.every(isPlain)) return wrong(place, 'must be a value or a list of values')
  return value => values.includes(value)
}

const TEXT_OPERATORS: ReadonlySet<string> = new Set(['prefix', 'suffix', 'equals-ignore-case', 'wildcard'])

function wrong(place: Place, message: string): EventPattern {
  place.report(place.path, message)
  return NEVER
}

function within(place: Place, step: PropertyKey): Place {
  return { ...place, path: [...place.path, step] }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPlain(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

/** A field of the event itself: not what objects inherit, whatever a hostile name asks for. */
function ownValue(value: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined
}
