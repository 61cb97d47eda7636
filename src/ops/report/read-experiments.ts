/** The report of rehearsed failures that `comporta chaos run --json` has printed, as far as a review needs it. */

import { z } from 'zod'

import { messageOf, PipelineError } from '../../core/index.ts'
import type { ReportExperiment } from './report-facts.ts'

const count = z.number().nonnegative().nullish()

/** More members than these may be there: later versions say more. */
const chaosOutput = z.object({
  reports: z.array(
    z.object({
      experiment: z.string(),
      hypothesis: z.string(),
      verdict: z.string(),
      rebalances: count,
      recoveredMs: count,
      duplicates: count,
      longestPause: z.object({ ms: z.number().nonnegative() }).nullish(),
      audit: z.object({ lost: z.object({ count: z.number().nonnegative() }) }).nullish()
    })
  )
})

/**
 * Reads such a report. Experiments that were skipped are left out: they say nothing.
 *
 * @param name - Name of the file, for the message.
 * @throws PipelineError `ERR_OPS_REPORT_INPUT` if it is something else.
 */
export function readExperiments(text: string, name: string): ReportExperiment[] {
  const remedy = 'write it with: comporta chaos run all --json'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new PipelineError('ERR_OPS_REPORT_INPUT', `${name} is not JSON (${messageOf(cause)}); ${remedy}`, { cause })
  }
  const { data, error } = chaosOutput.safeParse(value)
  if (data === undefined) {
    const [issue] = error.issues
    const place = issue?.path.map(String).join('.') ?? ''
    throw new PipelineError('ERR_OPS_REPORT_INPUT', `${name} is no report of experiments (${place}); ${remedy}`)
  }
  return data.reports
    .filter(({ verdict }) => verdict !== 'skipped')
    .map(each => ({
      name: each.experiment,
      hypothesis: each.hypothesis,
      holds: each.verdict === 'holds',
      longestPauseMs: each.longestPause?.ms ?? undefined,
      recoveredMs: each.recoveredMs ?? undefined,
      duplicates: each.duplicates ?? undefined,
      lost: each.audit?.lost.count ?? undefined,
      rebalances: each.rebalances ?? undefined
    }))
}
