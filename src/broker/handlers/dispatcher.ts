/**
 * From a frame to a handler: header, version rules, fault hooks.
 *
 * An API key or version that is not advertised closes the connection, with one
 * exception that KIP-35 makes: ApiVersions of an unknown version is answered in
 * version 0 with UNSUPPORTED_VERSION and its own range, so that a newer client
 * can ask again.
 */

import { PipelineError, sleep } from '../../core/index.ts'
import {
  apiVersionsApi,
  ByteReader,
  decodeRequestHeader,
  encodeResponse,
  type RequestHeader
} from '../../protocol/index.ts'
import type { Dispatcher, RequestTask } from '../server/connection.ts'
import type { BrokerState } from './broker-state.ts'
import type { Caller, Handler } from './handler.ts'
import { errorCode } from './handler.ts'

/** What a fault hook sees of a request. */
export interface FaultRequest {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  readonly clientId: string
}

/** What a fault hook may do: close the connection, answer late, or answer with a Kafka error code. */
export type Fault = 'close' | { readonly delayMs: number } | { readonly errorCode: number }

/** Called for every request before it runs; `undefined` lets it run. */
export type FaultHook = (request: FaultRequest) => Fault | undefined

/** What the dispatcher needs. */
export interface DispatcherOptions {
  readonly broker: BrokerState
  readonly handlers: ReadonlyMap<number, Handler>
  readonly onRequest: FaultHook | undefined
  /** Called for every request, for metrics. */
  readonly onCounted: (apiName: string) => void
}

/** Makes the dispatcher of a broker. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  return {
    prepare: (frame, connection) => {
      const body = new ByteReader(frame)
      const apiKey = frame.readInt16BE(0)
      const apiVersion = frame.readInt16BE(2)
      const handler = options.handlers.get(apiKey)
      const isKnown = handler !== undefined && apiVersion >= handler.versionMin && apiVersion <= handler.versionMax
      if (!isKnown) {
        if (handler !== undefined && apiKey === apiVersionsApi.key) return unsupportedApiVersions(frame, handler)
        throw new PipelineError(
          'ERR_BROKER_UNSUPPORTED_REQUEST',
          `API key ${apiKey} version ${apiVersion} is not supported`,
          { fields: { apiKey, apiVersion } }
        )
      }
      const header = decodeRequestHeader(body)
      options.onCounted(handler.name)
      const caller: Caller = {
        apiVersion,
        clientId: header.clientId ?? '',
        host: connection.host,
        principal: connection.principal,
        listener: connection.listener,
        signal: connection.signal
      }
      const task: RequestTask = {
        isOverlappable: handler.isOverlappable,
        run: () => handler.run(options.broker, body, { header, caller })
      }
      return options.onRequest === undefined ? task : withFaults(task, { options, handler, header, body })
    }
  }
}

function withFaults(
  task: RequestTask,
  context: { options: DispatcherOptions; handler: Handler; header: RequestHeader; body: ByteReader }
): RequestTask {
  const { options, handler, header, body } = context
  const { apiKey, apiVersion } = header
  const fault = options.onRequest?.({ apiKey, apiName: handler.name, apiVersion, clientId: header.clientId ?? '' })
  if (fault === undefined) return task
  if (fault === 'close') throw refused('the fault hook closed the connection')
  if ('delayMs' in fault) {
    const run = async (): Promise<readonly Buffer[] | undefined> => {
      await sleep(options.broker.clock, fault.delayMs)
      return task.run()
    }
    return { isOverlappable: false, run }
  }
  const response = handler.fail(body, header, fault.errorCode)
  if (response === undefined)
    throw refused(`the fault hook asked ${handler.name} to fail, which has no error code for all`)
  return { isOverlappable: false, run: () => Promise.resolve(response) }
}

function refused(message: string): PipelineError {
  return new PipelineError('ERR_BROKER_REQUEST_REFUSED', message)
}

function unsupportedApiVersions(frame: Buffer, handler: Handler): RequestTask {
  const message = {
    errorCode: errorCode('UNSUPPORTED_VERSION'),
    apiKeys: [{ apiKey: handler.key, minVersion: handler.advertisedMin, maxVersion: handler.versionMax }]
  }
  const response = encodeResponse(apiVersionsApi, 0, frame.readInt32BE(4), message)
  return { isOverlappable: false, run: () => Promise.resolve(response) }
}
