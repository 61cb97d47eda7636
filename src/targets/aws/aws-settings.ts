/** Settings that sinks in AWS have in common, checked by hand, and what is read from names and ARNs. */

import { PipelineError } from '../../core/index.ts'
import type { OptionCheck } from '../sinks/option-check.ts'
import { readRecordTemplate, type RecordTemplate } from '../sinks/record-template.ts'

/** Reads a template that was checked before. */
export function templateOf(text: string): RecordTemplate {
  const template = readRecordTemplate(text)
  if (typeof template !== 'string') return template
  throw new TypeError(`the template ${text} ${template}`)
}

/** A member that is a template. */
export function checkTemplate(check: OptionCheck, name: string): string | undefined {
  const text = check.text(name, { hint: 'a text with places such as {key} or {value.code}' })
  const read = text === undefined ? undefined : readRecordTemplate(text)
  if (typeof read === 'string') check.report(name, read)
  return text
}

/** Source: SQS developer guide, "Message attribute components"; SNS developer guide, "Message attributes". */
const ATTRIBUTE_NAME = /^(?!(?:aws|amazon)\.)(?!\.)(?!.*\.\.)[\w.-]{1,256}(?<!\.)$/i
const ATTRIBUTES_MAX = 10

/** `attributes`: templates by name of the attribute. */
export function checkAttributes(check: OptionCheck): void {
  const given = check.take('attributes')
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    check.report('attributes', 'are not templates by name, such as { key: "{key}" }')
    return
  }
  const entries = Object.entries(given)
  if (entries.length > ATTRIBUTES_MAX) check.report('attributes', `are more than ${ATTRIBUTES_MAX}`)
  for (const [name, template] of entries) {
    const path = `attributes.${name}`
    if (!ATTRIBUTE_NAME.test(name)) {
      check.report(path, 'is no name of an attribute: letters, digits, "_", "-" and ".", not "AWS." or "Amazon." first')
    }
    const read = typeof template === 'string' && template !== '' ? readRecordTemplate(template) : 'is not a template'
    if (typeof read === 'string') check.report(path, read)
  }
}

/** Settings of queues and topics but for their address. */
export function checkMessageSettings(
  check: OptionCheck,
  { address, bytesMost }: { readonly address: string | undefined; readonly bytesMost: number }
): void {
  check.awsPlace()
  check.oneOf('message', ['record', 'batch'])
  checkTemplate(check, 'group')
  const id = checkTemplate(check, 'deduplicationId')
  const order = check.oneOf('order', ['key', 'loose'])
  if (address !== undefined && !address.endsWith('.fifo')) {
    if (id !== undefined) check.report('deduplicationId', 'is for FIFO, and the address does not end in .fifo')
    if (order !== undefined) check.report('order', 'is for FIFO, and the address does not end in .fifo')
  }
  checkAttributes(check)
  check.integer('bytesMax', 1024, bytesMost)
  check.integer('messageRecordsMax', 1, 10_000)
  check.integer('concurrency', 1, 50)
}

/** Region in an ARN. */
export function regionOfArn(arn: string): string | undefined {
  const region = arn.startsWith('arn:') ? arn.split(':')[3] : undefined
  return region === '' ? undefined : region
}

/** Region in the URL of a queue: `https://sqs.eu-west-1.amazonaws.com/…`, also of a VPC endpoint or an emulator. */
export function regionOfQueueUrl(url: string): string | undefined {
  const host = URL.parse(url)?.hostname ?? ''
  const REGION = /(?:^|\.)sqs(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\.|^([a-z]{2,}(?:-[a-z]+)+-\d+)\.queue\./
  const match = REGION.exec(host)
  return match?.[1] ?? match?.[2]
}

/** Options of a sink that are no settings. */
interface Surroundings {
  readonly name: string
  readonly clock?: unknown
  readonly logger?: unknown
  readonly environment?: unknown
}

/**
 * Checks what a program makes a sink from.
 *
 * @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` with every problem.
 */
export function refuseProblems(options: Surroundings, problemsOf: (settings: unknown) => string[]): void {
  const { name, clock: _, logger: __, environment: ___, ...settings } = options
  const problems = problemsOf(settings)
  if (problems.length === 0) return
  throw new PipelineError('ERR_DISPATCHER_TARGET_INVALID', `target ${name}: ${problems.join('; ')}`, {
    fields: { problems }
  })
}
