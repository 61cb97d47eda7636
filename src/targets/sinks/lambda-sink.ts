/**
 * Lambda sink: another function gets the records, in the form of the dispatcher's payload, and answers for each of them
 * as a distributor or any other function of the dispatcher does (`reply.ts`).
 *
 * A function that fails as a whole (an exception, a timeout, no memory) has said nothing of any record: it counts as
 * unavailable, and its records as suspects. Only a payload that Lambda itself refuses is the records' fault.
 *
 * Limits: 6,291,456 bytes of payload, 1,048,576 for `Event`. Source: AWS Lambda quotas, "Invocation payload".
 */

import type { InvokeCommandOutput, LambdaClient } from '@aws-sdk/client-lambda'

import { type Clock, systemClock } from '../../core/index.ts'
import { silentLogger } from '../../telemetry/index.ts'
import { awsClientOptions, type AwsDependencies, awsErrorKind, awsOutcome, isAwsSetupKind } from '../aws/aws-client.ts'
import { refuseProblems, regionOfArn } from '../aws/aws-settings.ts'
import { functionErrorOutcome } from '../function-error.ts'
import { clientContextOf } from '../lambda-trace.ts'
import { LoudLog } from '../loud-log.ts'
import { readReplyText } from '../reply.ts'
import type { TargetOutcome } from '../target.ts'
import { lambdaSinkProblems, type LambdaSinkSettings } from './lambda-settings.ts'
import { payloadOf } from './record-payload.ts'
import type { RecordSink, SinkFailure, SinkLimits, SinkOutcome, SinkRequest } from './record-sink.ts'

/** What a Lambda sink is made from. */
export interface LambdaSinkOptions extends Omit<LambdaSinkSettings, 'type'>, AwsDependencies {
  readonly name: string
  /** Longest wait for an answer, in milliseconds; the signal may be sooner. Default 60_000. */
  readonly timeoutMs?: number
}

const PAYLOAD_BYTES_MAX = { RequestResponse: 6_291_456, Event: 1_048_576 } as const
/** Left for what stands around the texts: offsets, times and keys. A payload that is too large after all is halved. */
const TEXT_BYTES_SHARE = 0.85
const TIMEOUT_MS = 60_000

const OK: SinkOutcome = { kind: 'ok' }

/** Invokes a function. */
export class LambdaSink implements RecordSink {
  readonly name: string
  readonly limits: SinkLimits
  readonly #options: LambdaSinkOptions
  readonly #type: 'RequestResponse' | 'Event'
  readonly #sdk = import('@aws-sdk/client-lambda')
  readonly #client: Promise<LambdaClient>
  readonly #clock: Clock
  readonly #loud: LoudLog

  /** @throws PipelineError `ERR_DISPATCHER_TARGET_INVALID` if it cannot work as configured. */
  constructor(options: LambdaSinkOptions) {
    refuseProblems(options, given => lambdaSinkProblems(given, options.environment))
    this.name = options.name
    this.#options = options
    this.#type = options.invocationType ?? 'RequestResponse'
    const bytesMax = PAYLOAD_BYTES_MAX[this.#type]
    this.limits = {
      recordsMax: options.recordsMax ?? 500,
      bytesMax: Math.floor(bytesMax * TEXT_BYTES_SHARE),
      recordBytesMax: bytesMax - 1024,
      ...(this.#type === 'Event' ? { isUnordered: true } : {})
    }
    this.#clock = options.clock ?? systemClock
    this.#loud = new LoudLog(options.logger ?? silentLogger, this.#clock)
    this.#client = this.#load(options)
    // Each delivery reports it.
    this.#client.catch(() => undefined)
  }

  async deliver(request: SinkRequest, signal: AbortSignal): Promise<SinkOutcome> {
    const payload = Buffer.from(payloadOf(request), 'utf8')
    const bytesMax = PAYLOAD_BYTES_MAX[this.#type]
    if (payload.length > bytesMax) {
      return { kind: 'rejected', reason: this.#say(`the payload has ${payload.length} bytes, ${bytesMax} is the most`) }
    }
    let output: InvokeCommandOutput
    try {
      output = await this.#invoke(payload, request, signal)
    } catch (error) {
      const outcome = awsOutcome(error, this.#clock.now())
      if (isAwsSetupKind(awsErrorKind(error))) this.#loud.error({ target: this.name }, this.#say(outcome.reason))
      return { ...outcome, reason: this.#say(outcome.reason) }
    }
    if (this.#type === 'Event') return OK
    const text = output.Payload === undefined ? '' : Buffer.from(output.Payload).toString('utf8')
    if (output.FunctionError !== undefined) return this.#died(text)
    return this.#answered(readReplyText(text, request), request)
  }

  async close(): Promise<void> {
    const client = await this.#client.catch(() => undefined)
    client?.destroy()
  }

  async #load({ functionName, endpoint, environment, timeoutMs, region }: LambdaSinkOptions): Promise<LambdaClient> {
    const { LambdaClient } = await this.#sdk
    const place = { region: region ?? regionOfArn(functionName), endpoint, environment, service: 'LAMBDA' }
    return new LambdaClient(awsClientOptions({ ...place, timeoutMs: timeoutMs ?? TIMEOUT_MS }))
  }

  async #invoke(payload: Buffer, { trace }: SinkRequest, signal: AbortSignal): Promise<InvokeCommandOutput> {
    const { functionName, qualifier } = this.#options
    const [client, { InvokeCommand }] = await Promise.all([this.#client, this.#sdk])
    const command = new InvokeCommand({
      FunctionName: functionName,
      InvocationType: this.#type,
      Payload: payload,
      ...(qualifier === undefined ? {} : { Qualifier: qualifier }),
      ...(trace === undefined || this.#type === 'Event' ? {} : { ClientContext: clientContextOf(trace) })
    })
    return await client.send(command, { abortSignal: signal })
  }

  /** An exception of the function, or its end: nobody knows how far it came. */
  #died(text: string): SinkOutcome {
    const outcome = functionErrorOutcome(text)
    const reason = this.#say('reason' in outcome ? outcome.reason : 'the function failed')
    const isNotStarted = outcome.kind === 'unavailable' && outcome.isSuspect !== true
    if (isNotStarted) this.#loud.error({ target: this.name }, reason)
    return { kind: 'unavailable', reason, ...(isNotStarted ? {} : { isSuspect: true }) }
  }

  #answered(outcome: TargetOutcome, request: SinkRequest): SinkOutcome {
    if (outcome.kind === 'ok') return OK
    if (outcome.kind !== 'partial') return this.#unreadable(outcome.reason)
    const failures = new Map<number, SinkFailure>()
    const indexes = new Map(request.offsets.map((offset, index) => [offset, index]))
    if (outcome.resumeFrom !== undefined) {
      const from = indexes.get(Number(outcome.resumeFrom))
      if (from === undefined) return this.#unreadable('a resume point at an offset that it was not given')
      const reason = this.#say('answered with a resume point')
      for (let index = from; index < request.offsets.length; index += 1)
        failures.set(index, { action: 'retry', reason })
    }
    for (const { offset, action, reason, ...rest } of outcome.failures) {
      const index = indexes.get(Number(offset))
      if (index === undefined) return this.#unreadable('a failure at an offset that it was not given')
      failures.set(index, { action, reason: this.#say(reason), ...rest })
    }
    return failures.size === 0 ? OK : { kind: 'partial', failures }
  }

  /** Taken for success, records would be lost on a spelling mistake. */
  #unreadable(reason: string): SinkOutcome {
    return { kind: 'unavailable', reason: this.#say(reason), isSuspect: true }
  }

  #say(reason: string): string {
    return `target ${this.name}: ${reason}`
  }
}
