/**
 * How a caller may name a function: `name`, `name:qualifier`, a partial ARN
 * (`123456789012:function:name`) or a whole one, each with or without a
 * qualifier. Source: Lambda API reference, `Invoke`, `FunctionName`.
 */

/** The version that is not numbered: the code as it is now. */
export const LATEST = '$LATEST'

/** The ARN of a function, without a qualifier. */
export function functionArn(region: string, accountId: string, name: string): string {
  return `arn:aws:lambda:${region}:${accountId}:function:${name}`
}

/** What a function name in a request says. */
export interface FunctionReference {
  readonly name: string
  readonly qualifier: string | undefined
}

// Lambda's own pattern, with the parts that matter here captured.
const PREFIX = String.raw`(?:arn:aws[a-zA-Z-]*:lambda:)?(?:[a-z]{2}(?:-[a-z]+)+-\d:)?(?:\d{12}:)?(?:function:)?`
const NAME = String.raw`([a-zA-Z0-9-_]+)(?::(\$LATEST|[a-zA-Z0-9-_]+))?`
const REFERENCE = new RegExp(`^${PREFIX}${NAME}$`)

/** Longest function name that is looked at, ARN included. Source: Lambda API reference. */
const LENGTH_MAX = 170

/** Reads a name from a decoded path segment; `undefined` if Lambda's pattern does not allow it. */
export function parseFunctionReference(text: string): FunctionReference | undefined {
  if (text.length > LENGTH_MAX) return undefined
  const [, name, qualifier] = REFERENCE.exec(text) ?? []
  return name === undefined ? undefined : { name, qualifier }
}
