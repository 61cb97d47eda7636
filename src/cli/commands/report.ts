/** `comporta report`: a review of the pipeline, with measured answers. */

import { basename, dirname, extname, join } from 'node:path'

import { type Command, InvalidArgumentError } from 'commander'

import { PipelineError, systemClock } from '../../core/index.ts'
import type { LagReport, ReportFacts, ReportPart } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import { priceListOf } from '../operations/price-list.ts'
import {
  type ClusterCommandOptions,
  type OpenCluster,
  withCluster,
  withClusterOptions
} from '../operations/cluster-options.ts'
import { jsonLine } from '../operations/table.ts'
import { whileRunning } from '../operations/while-running.ts'
import { writeOutput } from '../package/write-output.ts'
import { readInput } from '../properties.ts'
import type { CommandAction } from './action.ts'
import { packageVersion } from '../package-version.ts'
import { collect } from '../operations/collect.ts'

interface ReportOptions extends ClusterCommandOptions {
  readonly for: string
  readonly out: string
  readonly group?: string
  readonly chaos?: readonly string[]
  readonly parts?: readonly string[]
  readonly doctor: boolean
}

const EXAMPLES = `
Examples:
  comporta report                                        # review.html, after 30 s of watching
  comporta report --for 10m --out review.md              # Markdown, with its pictures beside it
  comporta chaos run kill-dispatcher,slow-target --json > chaos.json && comporta report --chaos chaos.json
  comporta report --parts adr,c4 --out docs/pipeline.md  # decision record and C4 pictures (Mermaid)
  comporta report --json | jq '.answers[] | .question, .answer'`

/** Adds the command. */
export function addReport(program: Command, action: CommandAction): void {
  const command = program
    .command('report')
    .summary('a review of the pipeline: questions answered with measured numbers')
    .description(
      'Watches the lag, asks the doctor, plans partitions, prices the pipeline, and writes what a review asks for: ' +
        'how long a rebalance pauses it, why so many partitions, what a batch costs, what breaks when it grows, who ' +
        'wakes up at 3 a.m. What was not measured is said to be not known, with the command that measures it.'
    )
    .option('--out <file>', 'where to write: .html is one file, .md has its pictures beside it', readOut, 'review.html')
    .option('--for <time>', 'how long to watch, for example 10m', '30s')
    .option('--group <name>', 'only this group (default: that of the pipeline file, or all)')
    .option('--chaos <file>', 'what comporta chaos run --json has printed; may be given again', collect)
    .option('--parts <names>', 'only these parts: summary,questions,lag,cost,experiments,findings,adr,c4', listed)
    .option('--no-doctor', 'without the checks of comporta doctor')
    .addHelpText('after', EXAMPLES)
  withClusterOptions(command).action(action(report))
}

async function report(options: ReportOptions): Promise<number> {
  const { buildReport, isReportPart, readExperiments, renderHtml, renderMarkdown, REPORT_PARTS, reviewAnswers } =
    await import('../../ops/index.ts')
  const parts: readonly ReportPart[] = options.parts?.filter(isReportPart) ?? REPORT_PARTS
  const experiments = (options.chaos ?? []).flatMap(path => readExperiments(readInput(path), path))
  const facts = await whileRunning(undefined, running =>
    withCluster('report', options, async open => ({
      ...(await factsOf(open, options, running.signal)),
      experiments
    }))
  )
  const blocks = buildReport(facts, parts)
  if (options.json === true) {
    process.stdout.write(jsonLine({ answers: reviewAnswers(facts), ...facts, pipeline: facts.pipeline?.name }))
    return EXIT.ok
  }
  const name = basename(options.out, extname(options.out))
  if (extname(options.out) === '.html') {
    await writeOutput(options.out, renderHtml(blocks, `Review: ${facts.pipeline?.name ?? facts.scan?.clusterId ?? ''}`))
  } else {
    const { text, files } = renderMarkdown(blocks, name)
    for (const file of files) await writeOutput(join(dirname(options.out), file.name), file.content)
    await writeOutput(options.out, text)
  }
  const unknown = reviewAnswers(facts).filter(({ source }) => source === 'not known').length
  const more = unknown === 0 ? '' : `; ${unknown} questions have no measured answer yet, each says how to get one`
  process.stdout.write(`${options.out}${parts.includes('questions') ? more : ''}\n`)
  return EXIT.ok
}

async function factsOf(
  open: OpenCluster,
  options: ReportOptions,
  signal: AbortSignal
): Promise<Omit<ReportFacts, 'experiments'>> {
  const { compareCosts, gatherFindings, readDuration } = await import('../../ops/index.ts')
  const { costDefaults } = await import('../../config/index.ts')
  const watch = readDuration(options.for)
  if (watch.kind !== 'ms') throw new PipelineError('ERR_CLI_USAGE', `--for: ${watch.reason}`)
  const { cluster, kafka, pipeline } = open
  const { certificatesOf } = await import('../operations/doctor-certificates.ts')
  const found = await gatherFindings({
    cluster,
    pipeline,
    group: options.group,
    watchMs: watch.ms,
    clock: systemClock,
    signal,
    doctor: options.doctor
      ? { certificates: await certificatesOf(kafka), bootstrapServers: kafka.bootstrapServers }
      : undefined,
    onProgress: text => process.stderr.write(`${text}\n`)
  })
  const section = pipeline?.operations.cost ?? costDefaults()
  const overrides = { recordsPerSecond: measuredRate(found.looks) }
  const { billOf } = await import('../../ops/index.ts')
  const prices = await priceListOf(section)
  const { workload, report: bill, advice } = billOf({ section, pipeline, overrides, prices })
  return {
    ...found,
    version: packageVersion(),
    writtenAtMs: systemClock.now(),
    pipeline,
    cost: { report: bill, advice, alternatives: compareCosts(workload, prices) }
  }
}

/** Records per second of all topics, each counted once however many groups read it; what was not seen is not priced. */
function measuredRate(looks: readonly LagReport[]): number | undefined {
  const rates = new Map<string, number>()
  for (const { topic, partition, arrivalRate } of looks.at(-1)?.groups.flatMap(({ partitions }) => partitions) ?? []) {
    if (arrivalRate !== undefined) rates.set(`${topic}-${partition}`, arrivalRate)
  }
  const sum = [...rates.values()].reduce((total, rate) => total + rate, 0)
  return sum > 0 ? sum : undefined
}

function readOut(text: string): string {
  if (['.html', '.md'].includes(extname(text))) return text
  throw new InvalidArgumentError('The file must end with .html or .md.')
}

const partNames = 'summary questions lag cost experiments findings adr c4'.split(' ')

function listed(text: string): readonly string[] {
  const names = text.split(',').map(name => name.trim())
  const unknown = names.filter(name => !partNames.includes(name))
  if (unknown.length === 0) return names
  throw new InvalidArgumentError(`There is no part ${unknown.join(', ')}; there are ${partNames.join(', ')}.`)
}
