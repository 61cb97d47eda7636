/**
 * Problems of a pipeline file: gathered, never thrown one by one, so that
 * whoever corrects the file does it once.
 */

import { PipelineError } from '../core/index.ts'

/** A place in the pipeline file, both numbers starting at 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** One thing that is wrong. */
export interface Problem {
  /** Where in the file; `undefined` when it came from the environment or is missing altogether. */
  readonly place: Place | undefined
  /** Dotted path of the setting, for example `dispatcher.batch.recordsMax`; empty for the file itself. */
  readonly path: string
  /** What is wrong and what would be right. */
  readonly message: string
}

/** The one error that carries all problems of a file. */
export function invalidConfiguration(fileName: string, problems: readonly Problem[]): PipelineError {
  const sorted = problems.toSorted((a, b) => orderOf(a.place) - orderOf(b.place))
  const count = sorted.length === 1 ? '1 problem' : `${sorted.length} problems`
  const lines = sorted.map(problem => `  ${formatProblem(fileName, problem)}`)
  return new PipelineError('ERR_CONFIG_INVALID', `${fileName}: ${count}\n${lines.join('\n')}`, {
    fields: { problems: sorted }
  })
}

/** Lines first, then columns; what has no place comes first. */
function orderOf(place: Place | undefined): number {
  return place === undefined ? 0 : place.line * 100_000 + place.column
}

function formatProblem(fileName: string, problem: Problem): string {
  const where = problem.place === undefined ? fileName : `${fileName}:${problem.place.line}:${problem.place.column}`
  return problem.path === '' ? `${where} ${problem.message}` : `${where} ${problem.path}: ${problem.message}`
}
