/**
 * From a frame to a handler: header, version rules, fault hooks.
 *
 * An API key or version that is not advertised closes the connection, with one
 * exception that KIP-35 makes: ApiVersions of an unknown version is answered in
 * version 0 with UNSUPPORTED_VERSION and its own range, so that a newer client
 * can ask again.
 */

import { PipelineError } from '../../core/index.ts'
import { apiByKey, apiVersionsApi, ByteReader, decodeRequestHeader, encodeResponse } from '../../protocol/index.ts'
import type { Dispatcher, RequestTask } from '../server/connection.ts'
import { withFault } from '../testing/fault-task.ts'
import type { FaultRequest, Faults } from '../testing/faults.ts'
import { topicsOf } from '../testing/request-topics.ts'
import type { BrokerState } from './broker-state.ts'
import type { Caller, Handler } from './handler.ts'
import { errorCode } from './handler.ts'

/** What the dispatcher needs. */
export interface DispatcherOptions {
  readonly broker: BrokerState
  readonly handlers: ReadonlyMap<number, Handler>
  readonly faults: Faults
}

/** Makes the dispatcher of a broker. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { broker } = options
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
      let sent: (() => void) | undefined
      const caller: Caller = {
        onSent: callback => {
          sent = callback
        },
        apiVersion,
        clientId: header.clientId ?? '',
        host: connection.host,
        principal: connection.principal,
        listener: connection.listener,
        signal: connection.signal,
        requestBytes: frame.length,
        connection
      }
      const task: RequestTask = {
        isOverlappable: handler.isOverlappable,
        sent: () => sent?.(),
        run: () =>
          measured(broker, { name: handler.name, version: apiVersion }, () =>
            handler.run(broker, body, { header, caller })
          )
      }
      if (!options.faults.isActive) return task
      const fault = options.faults.decide(faultRequest(options, frame, handler))
      if (fault === undefined) return task
      const fail = (code: number): Buffer[] | undefined => handler.fail(body, header, code)
      return withFault(task, fault, { apiName: handler.name, clock: options.broker.clock, fail })
    }
  }
}

/** Runs a request, counted. What throws is counted too: it ends as a closed connection. */
async function measured<T>(
  { metrics }: BrokerState,
  { name, version }: { readonly name: string; readonly version: number },
  run: () => Promise<T>
): Promise<T> {
  const ended = metrics.requestBegan(name, version)
  try {
    return await run()
  } finally {
    ended()
  }
}

/** The request as fault rules see it: its topics are read only if a rule asks for them. */
function faultRequest({ broker }: DispatcherOptions, frame: Buffer, handler: Handler): FaultRequest {
  const body = new ByteReader(frame)
  const { apiKey, apiVersion, clientId } = decodeRequestHeader(body)
  return {
    apiKey,
    apiName: handler.name,
    apiVersion,
    clientId: clientId ?? '',
    get topics(): string[] {
      const request = apiByKey(apiKey)?.request.read(new ByteReader(frame, body.position), apiVersion)
      return topicsOf(request, topicId => broker.logs.topicById(topicId)?.name)
    }
  }
}

function unsupportedApiVersions(frame: Buffer, handler: Handler): RequestTask {
  const message = {
    errorCode: errorCode('UNSUPPORTED_VERSION'),
    apiKeys: [{ apiKey: handler.key, minVersion: handler.advertisedMin, maxVersion: handler.versionMax }]
  }
  const response = encodeResponse(apiVersionsApi, 0, frame.readInt32BE(4), message)
  return { isOverlappable: false, run: () => Promise.resolve(response) }
}
