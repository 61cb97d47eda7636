/**
 * Put, Update, Get, Delete and ListFunctionEventInvokeConfig: how events of a
 * version or alias are retried and where their end is told. What is set here
 * lasts until the runtime stops; the pipeline file is not changed.
 *
 * Source: Lambda API reference.
 */

import { messageOf } from '../../core/index.ts'
import * as errors from './api-errors.ts'
import { answer, answerError, answerJson, type Exchange } from './api-exchange.ts'
import { LATEST } from './function-name.ts'
import type { InvokeTarget } from './invoke-operations.ts'
import { eventProblems } from './options-check.ts'
import type { EventOptions } from './options.ts'
import { type EventSettings, eventSettings } from './settings.ts'

const BODY_MAX = 16_384

interface Asked {
  readonly target: InvokeTarget
  readonly isList: boolean
}

/** Answers one of the operations. */
export async function routeEventConfig(exchange: Exchange, { target, isList }: Asked): Promise<void> {
  const { events, qualifier = LATEST } = target
  const own = events.configs.get(qualifier)
  const method = isList ? 'LIST' : (exchange.request.method ?? '')
  switch (method) {
    case 'LIST': {
      const all = [...events.configs].map(([each, settings]) => body(target, each, settings))
      return answerJson(exchange, 200, { FunctionEventInvokeConfigs: all })
    }
    case 'GET':
      if (own === undefined && !isConfigured(target)) return answerError(exchange, notSet(target, qualifier))
      return answerJson(exchange, 200, body(target, qualifier, own ?? events.settingsOf(qualifier)))
    case 'DELETE':
      if (own === undefined) return answerError(exchange, notSet(target, qualifier))
      events.configs.delete(qualifier)
      return answer(exchange, { status: 204 })
    case 'PUT':
    case 'POST':
      // PUT replaces all of it, POST only what is given. Source: Lambda API reference.
      return change(exchange, target, method === 'PUT' ? {} : (own ?? events.settingsOf(qualifier)))
  }
  answerError(exchange, errors.unknownOperation())
}

function isConfigured({ func }: InvokeTarget): boolean {
  const { onSuccess, onFailure } = func.settings.events
  return onSuccess !== undefined || onFailure !== undefined
}

function notSet({ func }: InvokeTarget, qualifier: string): errors.ApiError {
  return errors.eventConfigNotFound(`${func.settings.arn}:${qualifier}`)
}

async function change(exchange: Exchange, target: InvokeTarget, before: Partial<EventSettings>): Promise<void> {
  let given: unknown
  try {
    given = JSON.parse(await readText(exchange))
  } catch (error) {
    return answerError(exchange, errors.invalidParameter(messageOf(error)))
  }
  const { events, qualifier = LATEST } = target
  // Boundary: members without a value are gone.
  const options = { ...defined(before), ...readConfig(given) } as EventOptions
  const problems = eventProblems(options, '')
  if (problems.length > 0) return answerError(exchange, errors.invalidParameter(problems.join('; ')))
  const kept = events.settingsOf(qualifier)
  // A drill's waits and a dead letter target are not Lambda's to change here.
  const { retryWaitsMs, deadLetterTarget } = kept
  const settings = eventSettings({ ...defined({ retryWaitsMs, deadLetterTarget }), ...options } as EventOptions)
  events.configs.set(qualifier, settings)
  answerJson(exchange, 200, body(target, qualifier, settings))
}

function defined<T extends object>(value: T): T {
  // Boundary: members without a value are left out, which no optional member forbids.
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T
}

async function readText({ request }: Exchange): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Boundary: without an encoding the stream gives Buffers.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_MAX) throw new Error(`more than ${BODY_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** AWS's members as ours. What has another type becomes one that the check refuses by name. */
function readConfig(given: unknown): EventOptions {
  const members = recordOf(given)
  const destinations = recordOf(members['DestinationConfig'])
  const age = members['MaximumEventAgeInSeconds']
  const options: Record<string, unknown> = {
    retriesMax: members['MaximumRetryAttempts'],
    ageMaxMs: typeof age === 'number' ? age * 1_000 : age,
    onSuccess: arnOf(destinations['OnSuccess']),
    onFailure: arnOf(destinations['OnFailure'])
  }
  // Boundary: the check that follows names what is not as it should be.
  return defined(options) as EventOptions
}

function arnOf(value: unknown): string | undefined {
  const arn = recordOf(value)['Destination']
  if (arn === undefined || arn === null) return undefined
  return typeof arn === 'string' ? arn : JSON.stringify(arn)
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function body({ func }: InvokeTarget, qualifier: string, settings: EventSettings): object {
  const { onSuccess, onFailure, retriesMax, ageMaxMs } = settings
  return {
    FunctionArn: `${func.settings.arn}:${qualifier}`,
    MaximumRetryAttempts: retriesMax,
    MaximumEventAgeInSeconds: ageMaxMs / 1_000,
    DestinationConfig: {
      OnSuccess: onSuccess === undefined ? {} : { Destination: onSuccess },
      OnFailure: onFailure === undefined ? {} : { Destination: onFailure }
    }
  }
}
