/** `comporta doctor`: what is wrong with a cluster, its groups and the pipeline file, and what to do about it. */

import { type Command, InvalidArgumentError } from 'commander'

import { printableText } from '../../core/index.ts'
import type { CheckArea, DoctorFinding, DoctorSeverity } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import { type ClusterCommandOptions, withCluster, withClusterOptions } from '../operations/cluster-options.ts'
import { jsonLine, tableOf } from '../operations/table.ts'
import { whileRunning } from '../operations/while-running.ts'
import type { CommandAction } from './action.ts'

interface DoctorCommandOptions extends ClusterCommandOptions {
  readonly only?: readonly string[]
  readonly skip?: readonly string[]
  readonly list?: boolean
  readonly sample?: number | true
  readonly showKeys?: boolean
  readonly interval: number
  readonly mskArn?: string
  readonly mskRegion?: string
  readonly mskEndpoint?: string
  readonly all?: boolean
}

/** Three commits of auto-commit fit into it. */
const SAMPLE_SECONDS = 17

/** Adds the command. */
export function addDoctor(program: Command, action: CommandAction): void {
  const command = program
    .command('doctor')
    .summary('find what is wrong, and what to do about it')
    .description(
      'Looks at groups, topics, records, brokers, the pipeline file and the quotas of Amazon MSK. Changes nothing. ' +
        'What may not be looked at is said with the right that is missing.'
    )
    .option('--only <checks>', 'only these checks or areas, separated by commas', names)
    .option('--skip <checks>', 'without these checks or areas', names)
    .option('--list', 'all checks, with a sentence each')
    .option(
      '--sample [seconds]',
      `sample records for hot keys, and watch commits for so many seconds (default ${SAMPLE_SECONDS})`,
      secondsOf
    )
    .option('--show-keys', 'show sampled keys whole; by default their first characters and a hash')
    .option('--interval <seconds>', 'time between the two looks that rates come from; 0 = one look', secondsOf, 2)
    .option('--all', 'also show the checks that found nothing')
    .option('--msk-arn <arn>', 'ask AWS for kind and size of this cluster (kafka:DescribeClusterV2)')
    .option('--msk-region <region>', 'its region; default: that of the ARN')
    .option('--msk-endpoint <url>', 'address of the service instead of AWS’s own')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing that is an error, 1 errors were found, 69 Kafka cannot be reached.\n\nExamples:\n' +
        '  comporta doctor\n  comporta doctor --brokers kafka:9092 --sample --all\n' +
        '  comporta doctor --only groups,hot-partition --json\n  comporta doctor --list'
    )
  withClusterOptions(command).action(action(doctor))
}

function names(text: string): string[] {
  return text.split(',').map(name => name.trim())
}

function secondsOf(text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value >= 0 && value <= 3600) return value
  throw new InvalidArgumentError('a number of seconds, 0 to 3600')
}

async function doctor(options: DoctorCommandOptions): Promise<number> {
  const { DOCTOR_CHECKS, runDoctor } = await import('../../ops/index.ts')
  if (options.list === true) {
    const checks = DOCTOR_CHECKS.map(({ id, area, sentence }) => ({ id, area, sentence }))
    process.stdout.write(options.json === true ? jsonLine(checks) : listOf(checks))
    return EXIT.ok
  }
  const { only, skip, sample, mskArn, mskRegion, mskEndpoint } = options
  const findings = await withCluster('doctor', options, async ({ cluster, kafka, pipeline }) => {
    const { certificatesOf } = await import('../operations/doctor-certificates.ts')
    const certificates = await certificatesOf(kafka)
    return await whileRunning(undefined, ({ signal }) =>
      runDoctor({
        cluster,
        bootstrapServers: kafka.bootstrapServers,
        pipeline,
        certificates,
        intervalMs: options.interval * 1000,
        sampleSeconds: sample === true ? SAMPLE_SECONDS : sample,
        showKeys: options.showKeys,
        ...(mskArn === undefined ? {} : { msk: { arn: mskArn, region: mskRegion, endpoint: mskEndpoint } }),
        ...(only === undefined ? {} : { only }),
        ...(skip === undefined ? {} : { skip }),
        signal,
        onProgress: text => void process.stderr.write(`looking at ${text}\n`)
      })
    )
  })
  const isIll = findings.some(({ severity }) => severity === 'error')
  process.stdout.write(
    options.json === true ? jsonLine({ isHealthy: !isIll, findings }) : await textOf(findings, options)
  )
  return isIll ? EXIT.failed : EXIT.ok
}

function listOf(checks: readonly { id: string; area: CheckArea; sentence: string }[]): string {
  return tableOf(
    [
      { title: 'AREA', text: ({ area }) => area },
      { title: 'CHECK', text: ({ id }) => id },
      { title: 'LOOKS FOR', text: ({ sentence }) => sentence }
    ],
    checks
  )
}

const HEADINGS: Readonly<Record<DoctorSeverity, string>> = {
  error: 'ERRORS',
  warn: 'WARNINGS',
  unknown: 'COULD NOT BE LOOKED AT',
  info: 'NOTES',
  ok: 'ALL RIGHT'
}

async function textOf(findings: readonly DoctorFinding[], { all }: DoctorCommandOptions): Promise<string> {
  const { bySeverity } = await import('../../ops/index.ts')
  const lines: string[] = []
  let heading = ''
  for (const { id, severity, title, reason, fix, evidence } of bySeverity(findings)) {
    if (severity === 'ok' && all !== true) continue
    if (heading !== severity) lines.push(...(heading === '' ? [] : ['']), HEADINGS[severity])
    heading = severity
    lines.push(severity === 'ok' ? `  ${id}: none found. ${title}` : `  ${id}: ${title}`)
    if (reason !== '') lines.push(`    why: ${reason}`)
    if (fix !== '') lines.push(`    fix: ${fix}`)
    lines.push(...evidence.map(line => `      ${line}`))
  }
  const counts = (Object.keys(HEADINGS) as DoctorSeverity[])
    .map(severity => ({ severity, count: findings.filter(each => each.severity === severity).length }))
    .filter(({ count }) => count > 0)
    .map(({ severity, count }) => `${count} ${severity}`)
  const shown = lines.map(printableText)
  return `${[...shown, ...(shown.length === 0 ? [] : ['']), counts.join(', ')].join('\n')}\n`
}
