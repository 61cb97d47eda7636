/** `comporta dashboards`: Grafana dashboards, Prometheus rules and CloudWatch alarms of a pipeline, from one source. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { type Command, InvalidArgumentError } from 'commander'

import { PipelineError } from '../../core/index.ts'
import type { BoardSettings } from '../../ops/index.ts'
import { type CommonOptions, loadPipeline, pipelinePath } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { jsonLine } from '../operations/table.ts'
import { writeOutput } from '../package/write-output.ts'
import type { CommandAction } from './action.ts'

interface DashboardsOptions extends CommonOptions {
  readonly out?: string
  readonly generic?: boolean
  readonly runbookUrl?: string
  readonly job?: string
  readonly namespace?: string
  readonly mskBrokers: number
}

/** A file, by its name in the folder. */
interface BoardFile {
  readonly name: string
  readonly content: string
}

const KINDS = ['grafana', 'prometheus', 'cloudwatch'] as const

/** Brokers that an MSK cluster in three zones has at least. */
const MSK_BROKERS = 3
const MSK_BROKERS_MAX = 90

/** Adds the command. */
export function addDashboards(program: Command, action: CommandAction): void {
  program
    .command('dashboards')
    .argument('<kind>', `what for: ${KINDS.join(', ')}`)
    .summary('dashboards and alert rules for your monitoring')
    .description(
      'Writes dashboards for Grafana, recording and alert rules for Prometheus, or a CloudFormation template with ' +
        'alarms and a dashboard for CloudWatch (for telemetry.metrics.emf, and for Amazon MSK). The pipeline file ' +
        'fills in groups, topics, retention, objectives and thresholds; without one they fit any pipeline.'
    )
    .option('--out <folder>', 'write files there; default: print')
    .option('--generic', 'for any pipeline, whatever file is here')
    .option('--runbook-url <url>', 'where alerts link to; default: docs/guides/runbook.md')
    .option('--job <pattern>', 'job of the scrape configuration, as a regular expression; default: .*comporta.*')
    .option('--namespace <name>', 'CloudWatch namespace; default: telemetry.metrics.emf.namespace, comporta')
    .option('--msk-brokers <count>', 'brokers of the MSK cluster to alarm on, 0 for none', brokers, MSK_BROKERS)
    .addHelpText(
      'after',
      '\nExamples:\n  comporta dashboards grafana --out monitoring/grafana\n' +
        '  comporta dashboards prometheus > comporta-rules.yaml\n' +
        '  comporta dashboards cloudwatch --msk-brokers 6 > alarms.json\n' +
        '  aws cloudformation deploy --stack-name orders-alarms --template-file alarms.json \\\n' +
        '    --parameter-overrides ClusterName=orders PageTopicArn=arn:aws:sns:…'
    )
    .action(action(dashboards))
}

function brokers(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 0 && count <= MSK_BROKERS_MAX) return count
  throw new InvalidArgumentError(`Give a whole number from 0 to ${MSK_BROKERS_MAX}.`)
}

async function dashboards(options: DashboardsOptions, kind = ''): Promise<number> {
  checkPattern(options.job)
  const files = await filesOf(kind, options)
  if (options.out === undefined) {
    const [only] = files
    if (only === undefined || files.length > 1) {
      throw new PipelineError('ERR_CLI_USAGE', `${kind} is ${files.length} files: name a folder with --out`)
    }
    process.stdout.write(only.content)
    return EXIT.ok
  }
  const paths: string[] = []
  for (const { name, content } of files) {
    const path = join(options.out, name)
    await writeOutput(path, content)
    paths.push(path)
  }
  process.stdout.write(options.json === true ? jsonLine({ files: paths }) : paths.map(path => `${path}\n`).join(''))
  return EXIT.ok
}

/** A pattern that Prometheus could not read would make every rule useless. */
function checkPattern(pattern: string | undefined): void {
  if (pattern === undefined) return
  try {
    new RegExp(pattern)
  } catch {
    throw new PipelineError('ERR_CLI_USAGE', `--job ${pattern} is no regular expression`)
  }
}

async function filesOf(kind: string, options: DashboardsOptions): Promise<BoardFile[]> {
  const { boardsOf, cloudFormationTemplate, grafanaDashboard, prometheusRules } = await import('../../ops/index.ts')
  const { settings, namespace } = await settingsOf(options)
  switch (kind) {
    case 'grafana':
      return boardsOf(settings).map(board => ({
        name: `${settings.name}-${board.id}.json`,
        content: grafanaDashboard(board, settings)
      }))
    case 'prometheus':
      return [{ name: `${settings.name}-rules.yaml`, content: prometheusRules(settings) }]
    case 'cloudwatch': {
      const content = cloudFormationTemplate(settings, { namespace, mskBrokers: options.mskBrokers })
      return [{ name: `${settings.name}-cloudwatch.json`, content }]
    }
    default:
      throw new PipelineError('ERR_CLI_USAGE', `no such kind of dashboards: ${kind}; there are ${KINDS.join(', ')}`)
  }
}

/** Of the pipeline file, if one is named or here. */
async function settingsOf(options: DashboardsOptions): Promise<{ settings: BoardSettings; namespace: string }> {
  const { BOARD_PLACES, genericBoards, pipelineBoards } = await import('../../ops/index.ts')
  const { runbookUrl = BOARD_PLACES.runbookUrl, job = BOARD_PLACES.job, namespace = 'comporta' } = options
  const places = { runbookUrl, job }
  const isNamed = options.file !== undefined || process.env['COMPORTA_FILE'] !== undefined
  if (options.generic === true || (!isNamed && !existsSync(pipelinePath(options)))) {
    return { settings: genericBoards(places), namespace }
  }
  const pipeline = await loadPipeline(options)
  return {
    settings: pipelineBoards(pipeline, places),
    namespace: options.namespace ?? pipeline.telemetry.metrics.emf?.namespace ?? namespace
  }
}
