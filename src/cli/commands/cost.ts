/** `comporta cost`: what the pipeline costs in a month, and for a million records. */

import { existsSync } from 'node:fs'

import { type Command, InvalidArgumentError, Option } from 'commander'

import type { CostConfig, PipelineConfig } from '../../config/index.ts'
import type {
  BatchAdvice,
  ClusterKind,
  CostAlternative,
  CostReport,
  CostWorkload,
  Invoker,
  PriceList
} from '../../ops/index.ts'
import { type CommonOptions, loadPipeline, pipelinePath } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { count } from '../operations/format.ts'
import { priceListOf } from '../operations/price-list.ts'
import { jsonLine, tableOf } from '../operations/table.ts'
import type { CommandAction } from './action.ts'
import { addCostRefresh } from './cost-refresh.ts'

interface CostOptions extends CommonOptions {
  readonly recordsPerSecond?: number
  readonly recordBytes?: number
  readonly partitions?: number
  readonly retentionHours?: number
  readonly readers?: number
  readonly batch?: number
  readonly cluster?: ClusterKind
  readonly instance?: string
  readonly brokerCount?: number
  readonly invoker?: Invoker
  readonly compare?: boolean
  readonly prices?: string
}

const EXAMPLES = `
The load comes from the pipeline file and its section operations.cost; flags stand above both. Without a file: the
users’ 13,000 records of 200 bytes a second.

Examples:
  comporta cost
  comporta cost --records-per-second 26000 --compare
  comporta cost --cluster express --instance m7g.large --broker-count 3 --invoker mapping
  comporta cost refresh --region eu-west-1 --out prices.json && comporta cost --prices prices.json`

/** Adds the command. */
export function addCost(program: Command, action: CommandAction): void {
  const command = program
    .command('cost')
    .summary('what the pipeline costs, and which batch size is right')
    .description(
      'Prices the pipeline on AWS: brokers or MSK Serverless, storage, transfer between zones, the dispatcher or the ' +
        'event source mapping, and the function, for a month and for a million records, from a dated price list.'
    )
    .option('--records-per-second <rate>', 'average rate', above0)
    .option('--record-bytes <bytes>', 'size of a record before compression', above0)
    .option('--partitions <number>', 'partitions of all topics together', above0)
    .option('--retention-hours <hours>', 'how long records are kept', above0)
    .option('--readers <number>', 'groups that read every record', above0)
    .option('--batch <records>', 'records of a batch at most', above0)
    .addOption(new Option('--cluster <kind>', 'what it runs on').choices(['standard', 'express', 'serverless', 'self']))
    .option('--instance <type>', 'size of the brokers, for example m7g.large (default: the cheapest that fits)')
    .option('--broker-count <number>', 'number of brokers (default: as many as the load needs)', above0)
    .addOption(
      new Option('--invoker <kind>', 'who calls the function').choices(['dispatcher', 'mapping', 'mappingProvisioned'])
    )
    .option('--compare', 'the same load on every kind of cluster, with every invoker')
    .option('--prices <file>', 'price list that comporta cost refresh has written')
    .addHelpText('after', EXAMPLES)
    .action(action(cost))
  addCostRefresh(command, action)
}

async function cost(options: CostOptions): Promise<number> {
  const { section, pipeline } = await sectionOf(options)
  const overrides = {
    recordsPerSecond: options.recordsPerSecond,
    recordBytes: options.recordBytes,
    partitions: options.partitions,
    retentionHours: options.retentionHours,
    readers: options.readers,
    recordsMax: options.batch,
    invoker: options.invoker,
    cluster: {
      ...(options.cluster === undefined ? {} : { kind: options.cluster }),
      ...(options.instance === undefined ? {} : { instance: options.instance }),
      ...(options.brokerCount === undefined ? {} : { brokers: options.brokerCount })
    }
  }
  const { billOf, compareCosts } = await import('../../ops/index.ts')
  const prices = await priceListOf(section, options.prices)
  const { workload, report, advice } = billOf({ section, pipeline, overrides, prices })
  const alternatives = options.compare === true ? compareCosts(workload, prices) : undefined
  if (options.json === true) process.stdout.write(jsonLine({ workload, report, advice, alternatives }))
  else process.stdout.write(textOf({ workload, report, advice, alternatives, prices }))
  return EXIT.ok
}

/** A pipeline file is of use here, but not needed: a missing one at the usual place is no mistake. */
async function sectionOf(options: CostOptions): Promise<{ section: CostConfig; pipeline: PipelineConfig | undefined }> {
  const isNamed = options.file !== undefined || process.env['COMPORTA_FILE'] !== undefined
  if (!isNamed && !existsSync(pipelinePath(options))) {
    const { costDefaults } = await import('../../config/index.ts')
    return { section: costDefaults(), pipeline: undefined }
  }
  const pipeline = await loadPipeline(options)
  return { section: pipeline.operations.cost, pipeline }
}

interface Findings {
  readonly workload: CostWorkload
  readonly report: CostReport
  readonly advice: BatchAdvice
  readonly alternatives: readonly CostAlternative[] | undefined
  readonly prices: PriceList
}

function textOf({ workload, report, advice, alternatives, prices }: Findings): string {
  const { recordsPerSecond, recordBytes, partitions } = workload
  const load = `${count(recordsPerSecond)} records/s of ${count(recordBytes)} bytes in ${count(partitions)} partitions`
  const bill = tableOf(
    [
      { title: 'AREA', text: line => line.area },
      { title: 'ITEM', text: line => line.item },
      { title: 'QUANTITY', text: line => amount(line.quantity), align: 'right' },
      { title: 'UNIT', text: line => line.unit },
      { title: 'PRICE', text: line => price(line.unitPrice), align: 'right' },
      { title: 'USD/MONTH', text: line => usd(line.monthly), align: 'right' }
    ],
    report.lines
  )
  const total = `${usd(report.monthly)} USD a month, ${usd(report.perMillion)} USD for a million records`
  const notes = report.notes.map(note => `  ${note}\n`).join('')
  const unverified =
    prices.unverified.length === 0 || workload.cluster.kind !== 'serverless'
      ? ''
      : `  Not seen on a page of AWS: ${prices.unverified.join(', ')}.\n`
  return (
    `${load}, prices of ${report.region} on ${report.priceDate}\n\n${bill}\n${total}\n${notes}${unverified}\n` +
    batchText(advice) +
    (alternatives === undefined ? '' : `\n${alternativesText(alternatives)}`)
  )
}

function batchText({ options, best, reason }: BatchAdvice): string {
  const rows = tableOf(
    [
      { title: 'BATCH', text: each => `${count(each.recordsMax)}${each === best ? ' *' : ''}` },
      { title: 'FILLED', text: each => amount(each.records), align: 'right' },
      { title: 'WAITS', text: each => `${count(each.waitMs)} ms`, align: 'right' },
      { title: 'TAKES', text: each => `${count(each.durationMs)} ms`, align: 'right' },
      { title: 'AT ONCE', text: each => amount(each.concurrency), align: 'right' },
      { title: 'USD/MONTH', text: each => usd(each.monthly), align: 'right' },
      { title: 'USD/MILLION', text: each => usd(each.perMillion), align: 'right' }
    ],
    options
  )
  return `The function, by batch.recordsMax\n${rows}\n* ${reason}\n`
}

function alternativesText(alternatives: readonly CostAlternative[]): string {
  const signed = (value: number): string => `${value > 0 ? '+' : value < 0 ? '-' : ''}${usd(Math.abs(value))}`
  return tableOf(
    [
      { title: 'CLUSTER', text: each => each.cluster },
      { title: 'INVOKER', text: each => each.invoker },
      { title: 'USD/MONTH', text: each => usd(each.report.monthly), align: 'right' },
      { title: 'USD/MILLION', text: each => usd(each.report.perMillion), align: 'right' },
      { title: 'DIFFERENCE', text: each => signed(each.difference), align: 'right' }
    ],
    alternatives
  )
}

const money = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })

/** Dollars with cents; small amounts with the digits that tell them apart. */
function usd(value: number): string {
  return value !== 0 && Math.abs(value) < 0.1 ? value.toPrecision(2) : money.format(value)
}

function price(value: number): string {
  return value === 0 ? '0' : value < 0.001 ? value.toExponential(4) : String(Number(value.toPrecision(4)))
}

function amount(value: number): string {
  return value < 10 ? String(Number(value.toPrecision(2))) : count(value)
}

function above0(text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError('It must be a number above 0.')
}
