/**
 * Step Functions sink: StartExecution for each record, or for all records of a request, several at once.
 *
 * The name of an execution is the id of its record, so a record that comes again is refused by AWS as
 * `ExecutionAlreadyExists`, and that counts as delivered. AWS remembers names for 90 days; a standard workflow that
 * still runs takes the same name with the same input as the same execution. Express workflows do not look at names:
 * they may run twice.
 *
 * The input is the value as it is, at most 262,144 bytes in UTF-8.
 * Source: Step Functions API reference, StartExecution; "Service quotas", "Quotas related to state machine executions".
 */

import { createHash } from 'node:crypto'

import type { SFNClient } from '@aws-sdk/client-sfn'

import { awsClientOptions, type AwsDependencies, awsErrorName } from '../aws/aws-client.ts'
import { refuseProblems, regionOfArn } from '../aws/aws-settings.ts'
import { AwsSink, DELIVERY_BYTES_MAX, DELIVERY_RECORDS_MAX, type EntryAnswers } from '../aws/aws-sink.ts'
import type { Entry } from '../aws/entry-plan.ts'
import { emptyPayloadBytes, offsetsName, payloadOf, payloadRecordBytes } from './record-payload.ts'
import type { SinkFailure, SinkRequest } from './record-sink.ts'
import { stepFunctionsSinkProblems, type StepFunctionsSinkSettings } from './step-functions-settings.ts'

/** What a Step Functions sink is made from. */
export interface StepFunctionsSinkOptions extends Omit<StepFunctionsSinkSettings, 'type'>, AwsDependencies {
  readonly name: string
  /** Longest wait for the answer to one request, in milliseconds; the signal may be sooner. Default 5_000. */
  readonly timeoutMs?: number
}

/** One execution to be started. */
interface Execution extends Entry {
  readonly name: string
  readonly input: string
}

/** Most bytes of an input in UTF-8. */
const INPUT_BYTES_MAX = 262_144
const NAME_LENGTH_MAX = 80
/** Hexadecimal digits of the digest in a name that could not be used as it is. */
const DIGEST_LENGTH = 32
const NONE: EntryAnswers = new Map()

/** Starts executions of a state machine. */
export class StepFunctionsSink extends AwsSink<Execution, SFNClient> {
  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: StepFunctionsSinkOptions) {
    refuseProblems(options, stepFunctionsSinkProblems)
    const {
      stateMachineArn,
      start = 'record',
      namePrefix = '',
      order = 'key',
      endpoint,
      environment,
      timeoutMs
    } = options
    const region = options.region ?? regionOfArn(stateMachineArn)
    const sdk = import('@aws-sdk/client-sfn')
    const make = start === 'record' ? executionsOfRecords : executionsOfBatch
    super(
      options.name,
      {
        limits: {
          recordsMax: DELIVERY_RECORDS_MAX,
          bytesMax: DELIVERY_BYTES_MAX,
          recordBytesMax: INPUT_BYTES_MAX,
          ...(order === 'loose' ? { isUnordered: true } : {})
        },
        entryLimits: { entriesMax: 1, bytesMax: INPUT_BYTES_MAX, groupEntriesMax: 1 },
        concurrency: options.concurrency,
        load: async () => {
          const { SFNClient } = await sdk
          return new SFNClient(awsClientOptions({ region, endpoint, environment, timeoutMs, service: 'SFN' }))
        },
        make: request => make(request, { prefix: namePrefix, isOrdered: order === 'key' }),
        send: async (client, [execution], { abortSignal }) => {
          if (execution === undefined) return NONE
          const { StartExecutionCommand } = await sdk
          const { name, input } = execution
          try {
            await client.send(new StartExecutionCommand({ stateMachineArn, name, input }), { abortSignal })
          } catch (error) {
            if (awsErrorName(error) !== 'ExecutionAlreadyExists') throw error
          }
          return NONE
        }
      },
      options
    )
  }
}

interface Making {
  readonly prefix: string
  readonly isOrdered: boolean
}

interface Made {
  readonly entries: readonly Execution[]
  readonly refused: ReadonlyMap<number, SinkFailure>
}

function executionsOfRecords(request: SinkRequest, { prefix, isOrdered }: Making): Made {
  const entries: Execution[] = []
  const refused = new Map<number, SinkFailure>()
  for (const [index, input] of request.texts.entries()) {
    const bytes = Buffer.byteLength(input)
    if (bytes > INPUT_BYTES_MAX) refused.set(index, tooLarge(bytes))
    else {
      const name = executionName(prefix + (request.recordIds[index] ?? ''))
      // Without keys nobody knows which records belong together: all are started in order.
      const key = request.keys === undefined ? '' : (request.keys[index] ?? undefined)
      entries.push({ indexes: [index], bytes, group: isOrdered ? key : undefined, name, input })
    }
  }
  return { entries, refused }
}

function executionsOfBatch(request: SinkRequest, { prefix, isOrdered }: Making): Made {
  const refused = new Map<number, SinkFailure>()
  const emptyBytes = emptyPayloadBytes(request)
  const entries: Execution[] = []
  let indexes: number[] = []
  let bytes = emptyBytes
  const close = (): void => {
    if (indexes.length === 0) return
    const offsets = indexes.map(index => request.offsets[index] ?? 0)
    const name = executionName(`${prefix}${request.topic}-${request.partition}-${offsetsName(offsets)}`)
    const group = isOrdered ? '' : undefined
    entries.push({ indexes, bytes, group, name, input: payloadOf(request, indexes) })
    indexes = []
    bytes = emptyBytes
  }
  for (const index of request.texts.keys()) {
    const size = payloadRecordBytes(request, index)
    if (emptyBytes + size > INPUT_BYTES_MAX) {
      refused.set(index, tooLarge(emptyBytes + size))
      continue
    }
    if (bytes + size > INPUT_BYTES_MAX) close()
    indexes.push(index)
    bytes += size
  }
  close()
  return { entries, refused }
}

function tooLarge(bytes: number): SinkFailure {
  const reason = `the input of the execution would have ${bytes} bytes, and ${INPUT_BYTES_MAX} is the most`
  return { action: 'deadLetter', reason }
}

/**
 * A name that AWS takes for an execution: the id, or as much of it as fits and a digest, where it is too long or has
 * characters that CloudWatch Logs does not take.
 */
export function executionName(id: string): string {
  if (id.length <= NAME_LENGTH_MAX && /^[\w-]+$/.test(id)) return id
  const digest = createHash('sha256').update(id).digest('hex').slice(0, DIGEST_LENGTH)
  return `${id.replaceAll(/[^\w-]/g, '_').slice(0, NAME_LENGTH_MAX - DIGEST_LENGTH - 1)}-${digest}`
}
