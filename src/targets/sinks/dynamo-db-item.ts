/**
 * JSON as attribute values of DynamoDB, and what DynamoDB would refuse, found before it is asked: one item that is
 * refused fails the other 24 of its request.
 *
 * Numbers are passed on as they were written, so none of their digits is lost. Limits: 38 significant digits, 1E-130 to
 * 9.99E+125, 32 levels, 409,600 bytes with the names of attributes, 2,048 and 1,024 bytes in the key.
 * Source: DynamoDB developer guide, "Quotas", "Data types and naming rules", "DynamoDB item sizes and formats".
 */

import { parseWithSource } from './record-template.ts'

/** A value as DynamoDB takes it. */
export type AttributeValue =
  | { readonly S: string }
  | { readonly N: string }
  | { readonly BOOL: boolean }
  | { readonly NULL: true }
  | { readonly L: readonly AttributeValue[] }
  | { readonly M: Readonly<Record<string, AttributeValue>> }

/** An item. */
export type Item = Record<string, AttributeValue>

/** What keeps a record from being an item. */
export class ItemError extends Error {}

const DIGITS_MAX = 38
const EXPONENT_MAX = 125
const EXPONENT_MIN = -130
/** Most bytes of an item, names of attributes included. */
export const ITEM_BYTES_MAX = 409_600
/** Lists and maps in one another; the item itself is the 32nd. */
const DEPTH_MAX = 31
const KEY_BYTES_MAX = [2048, 1024]

/**
 * Reads JSON as an attribute value.
 *
 * @throws ItemError if it cannot be stored.
 */
export function attributeOf(text: string): AttributeValue {
  try {
    // Called from the inside out: members are attribute values by then.
    return parseWithSource(text, (_name, value, { source }) => converted(value, source)) as AttributeValue
  } catch (error) {
    if (error instanceof ItemError) throw error
    throw new ItemError('the value is no JSON that can be read', { cause: error })
  }
}

function converted(value: unknown, source: string | undefined): AttributeValue {
  if (typeof value === 'string') return { S: value }
  if (typeof value === 'number') return { N: checkedNumber(source ?? String(value)) }
  if (typeof value === 'boolean') return { BOOL: value }
  if (value === null) return { NULL: true }
  // Boundary: JSON has nothing else, and all members have been converted.
  if (Array.isArray(value)) return { L: value as readonly AttributeValue[] }
  return { M: checkedMembers(value as Record<string, AttributeValue>) }
}

function checkedMembers(members: Record<string, AttributeValue>): Record<string, AttributeValue> {
  if (Object.hasOwn(members, '__proto__')) throw new ItemError('a member is called __proto__, which cannot be sent')
  if (Object.hasOwn(members, '')) throw new ItemError('a member has no name')
  return members
}

interface Decimal {
  readonly isNegative: boolean
  /** Significant digits, none for zero. */
  readonly digits: string
  /** Power of ten of the first digit. */
  readonly exponent: number
}

function decimalOf(text: string): Decimal {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? []
  const all = whole + fraction
  const digits = all.replace(/^0+/, '')
  const leadingZeros = all.length - digits.length
  return {
    isNegative: sign === '-',
    digits: digits.replace(/0+$/, ''),
    exponent: whole.length - 1 - leadingZeros + Number(power)
  }
}

function checkedNumber(text: string): string {
  if (text.length <= DIGITS_MAX && !/e/i.test(text)) return text
  const { digits, exponent } = decimalOf(text)
  if (digits.length > DIGITS_MAX) throw new ItemError(`a number has more than ${DIGITS_MAX} significant digits`)
  if (digits !== '' && (exponent > EXPONENT_MAX || exponent < EXPONENT_MIN)) {
    throw new ItemError('a number is beyond 9.99E+125 or below 1E-130')
  }
  // Millions of zeros in a power of ten are still a small number.
  return digits === '' ? '0' : text
}

/** The attribute at a path of members; `undefined` if there is none. */
export function attributeAt(value: AttributeValue, path: readonly string[]): AttributeValue | undefined {
  let found: AttributeValue | undefined = value
  for (const name of path) {
    if (found === undefined || !('M' in found) || !Object.hasOwn(found.M, name)) return undefined
    found = found.M[name]
  }
  return found
}

/**
 * Checks size and depth of an item.
 *
 * @throws ItemError if it cannot be stored.
 */
export function checkItem(item: Item): void {
  let bytes = 0
  for (const [name, value] of Object.entries(item)) bytes += Buffer.byteLength(name) + sizeOf(value, 1)
  if (bytes > ITEM_BYTES_MAX) throw new ItemError(`the item has ${bytes} bytes, and ${ITEM_BYTES_MAX} is the most`)
}

function sizeOf(value: AttributeValue, depth: number): number {
  if ('S' in value) return Buffer.byteLength(value.S)
  if ('N' in value) return numberBytes(value.N)
  if (!('L' in value || 'M' in value)) return 1
  if (depth > DEPTH_MAX) throw new ItemError(`the item is nested deeper than ${DEPTH_MAX} lists and maps`)
  if ('L' in value) return value.L.reduce((sum, member) => sum + 1 + sizeOf(member, depth + 1), 3)
  let bytes = 3
  for (const [name, member] of Object.entries(value.M)) {
    bytes += 1 + Buffer.byteLength(name) + sizeOf(member, depth + 1)
  }
  return bytes
}

/** A byte for two digits, counted from the decimal point, and one more; one for the sign of a negative number. */
function numberBytes(text: string): number {
  const { digits, exponent, isNegative } = decimalOf(text)
  if (digits === '') return 1
  const pairs = Math.floor(exponent / 2) - Math.floor((exponent - digits.length + 1) / 2) + 1
  return pairs + 1 + (isNegative ? 1 : 0)
}

/**
 * Names an item by its primary key: numbers that are equal give the same name.
 *
 * @throws ItemError if the item has no such key.
 */
export function itemKey(item: Item, attributes: readonly string[]): string {
  const parts = attributes.map((name, position) => {
    const value = item[name]
    if (value === undefined) throw new ItemError(`the record has nothing for ${name}, which is part of the key`)
    if ('N' in value) return ['N', canonical(value.N)]
    if (!('S' in value)) throw new ItemError(`${name} is part of the key, and is neither text nor a number`)
    if (value.S === '') throw new ItemError(`${name} is part of the key, and is empty`)
    const bytes = Buffer.byteLength(value.S)
    const bytesMax = KEY_BYTES_MAX[position] ?? 0
    if (bytes > bytesMax) throw new ItemError(`${name} has ${bytes} bytes, and ${bytesMax} is the most in a key`)
    return ['S', value.S]
  })
  return JSON.stringify(parts)
}

function canonical(text: string): string {
  const { isNegative, digits, exponent } = decimalOf(text)
  return digits === '' ? '0' : `${isNegative ? '-' : ''}${digits}e${exponent}`
}
