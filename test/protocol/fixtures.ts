/** Reads the fixtures that Apache Kafka's Java code wrote (test/fixtures/protocol). */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** A JSON value in which numbers beyond 2^53 are bigints. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json }

/** One capture: an object. */
export type Row = { [key: string]: Json }

/** Keeps the digits of an integer that a number cannot hold. */
function exact(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context.source === undefined) return value
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
}

/** The rows of a fixture, in order. */
export function fixture(name: string): Row[] {
  const file = join(import.meta.dirname, '..', 'fixtures', 'protocol', name)
  const lines = gunzipSync(readFileSync(file)).toString('utf8').trimEnd().split('\n')
  // The reviver's third argument is newer than TypeScript's library knows.
  return lines.map(line => JSON.parse(line, exact as (key: string, value: unknown) => unknown) as Row)
}

/** A field that must be a string. */
export function text(row: Row, key: string): string {
  const value = row[key]
  if (typeof value !== 'string') throw new Error(`${key} is not a string`)
  return value
}

/** A field that must be a number. */
export function number(row: Row, key: string): number {
  const value = row[key]
  if (typeof value !== 'number') throw new Error(`${key} is not a number`)
  return value
}

/** A field that must be an object. */
export function object(row: Row, key: string): Row {
  const value = row[key]
  if (!isObject(value)) throw new Error(`${key} is not an object`)
  return value
}

/** Whether a JSON value is an object. */
export function isObject(value: Json | undefined): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A field in base64. */
export function bytes(row: Row, key: string): Buffer {
  return Buffer.from(text(row, key), 'base64')
}
