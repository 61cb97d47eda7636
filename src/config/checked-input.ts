/** Settings that a program gives as an object: checked as those of a file are, but without lines. */

import type { z } from 'zod'

import { unknownSettings } from './checked-file.ts'
import { invalidConfiguration, type Problem } from './problems.ts'
import type { Report } from './schema/common.ts'

/** What is checked, and against what. */
export interface InputCheck<S extends z.ZodType> {
  readonly schema: S
  /** Stands for the file in the message. */
  readonly name: string
  /** Path of the section, before the paths of the schema's own problems. Default: none. */
  readonly section?: string
  /** Rules that span settings; they report whole paths. */
  readonly rules: (data: z.output<S>, report: Report) => void
}

/**
 * Checks an input and fills in the defaults.
 *
 * @throws PipelineError `ERR_CONFIG_INVALID` with every problem.
 */
export function checkedInput<S extends z.ZodType>(input: unknown, check: InputCheck<S>): z.output<S> {
  const { schema, name, section, rules } = check
  const result = schema.safeParse(input, { reportInput: true })
  const problems: Problem[] = []
  const report = (path: readonly PropertyKey[], message: string): void => {
    problems.push({ place: undefined, path: path.map(String).join('.'), message })
  }
  const above = section === undefined ? [] : [section]
  for (const issue of result.error?.issues ?? []) {
    const unknown = unknownSettings(schema, issue)
    for (const { path, message } of unknown) report([...above, ...path], message)
    if (unknown.length === 0) report([...above, ...issue.path], issue.message)
  }
  if (result.success) rules(result.data, report)
  if (result.success && problems.length === 0) return result.data
  throw invalidConfiguration(name, problems)
}
