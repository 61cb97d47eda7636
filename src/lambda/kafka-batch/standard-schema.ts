/**
 * Standard Schema, the interface that zod, valibot, arktype and others share: the part of it that is used here.
 * Source: https://standardschema.dev, version 1.
 */

import { DeadLetterRecord } from './record-outcomes.ts'

/** What a schema says of a value. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A schema of any library that speaks Standard Schema. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

const ISSUES_TOLD_MAX = 3

/**
 * Checks a value.
 *
 * @throws DeadLetterRecord with the places that are wrong. Values are not repeated: they may be secret.
 */
export async function validated<Output>(schema: StandardSchema<Output>, value: unknown): Promise<Output> {
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return result.value
  const told = result.issues.slice(0, ISSUES_TOLD_MAX).map(issue => `${placeOf(issue)}: ${issue.message}`)
  const more = result.issues.length - told.length
  throw new DeadLetterRecord(`the value is not as the schema says: ${told.join('; ')}${more > 0 ? ` (+${more})` : ''}`)
}

function placeOf({ path }: SchemaIssue): string {
  const names = (path ?? []).map(each => String(typeof each === 'object' ? each.key : each))
  return names.length === 0 ? 'value' : names.join('.')
}
