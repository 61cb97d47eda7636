/** JSON of answers: offsets may be `bigint`, which JSON does not know; they become decimal text. */

/** Text of a value; `undefined` becomes an empty object. */
export function jsonText(value: unknown): string {
  return value === undefined ? '{}' : JSON.stringify(value, withoutBigints)
}

function withoutBigints(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
