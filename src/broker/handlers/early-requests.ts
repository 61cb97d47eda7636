/**
 * Requests that a gate answers before the dispatcher sees them (SASL): what the
 * handlers know of them, and the faults that tests ask for.
 */

import type { Clock } from '../../core/index.ts'
import {
  ByteReader,
  decodeRequestHeader,
  type RequestHeader,
  saslAuthenticateApi,
  saslHandshakeApi
} from '../../protocol/index.ts'
import type { RequestTask } from '../server/connection.ts'
import { REQUEST_BYTES_MIN } from '../server/frame-reader.ts'
import { withFault } from '../testing/fault-task.ts'
import type { Faults } from '../testing/faults.ts'
import type { Handler } from './handler.ts'

const SASL_KEYS: ReadonlySet<number> = new Set([saslHandshakeApi.key, saslAuthenticateApi.key])

/** What the gate is given. */
export interface EarlyRequests {
  /** Whether the broker answers the API in the version of a request. */
  readonly isSupported: (frame: Buffer) => boolean
  /** A response of that API with an error; `undefined` if there is none. */
  readonly fail: (frame: Buffer, errorCode: number) => Buffer[] | undefined
  /** The task, with the fault that a rule has for its request. */
  readonly withFaults: (frame: Buffer, task: RequestTask) => RequestTask
}

/** Makes them of the broker's handlers and fault rules. */
export function earlyRequests(handlers: ReadonlyMap<number, Handler>, faults: Faults, clock: Clock): EarlyRequests {
  const fail = (frame: Buffer, errorCode: number): Buffer[] | undefined => {
    const request = read(handlers, frame)
    return request?.handler.fail(request.body, request.header, errorCode)
  }
  const withFaults = (frame: Buffer, task: RequestTask): RequestTask => {
    if (!faults.isActive) return task
    const request = read(handlers, frame)
    if (request === undefined || !SASL_KEYS.has(request.handler.key)) return task
    const { handler, header } = request
    const { apiKey, apiVersion, clientId } = header
    const fault = faults.decide({ apiKey, apiName: handler.name, apiVersion, clientId: clientId ?? '', topics: [] })
    if (fault === undefined) return task
    return withFault(task, fault, { apiName: handler.name, clock, fail: code => fail(frame, code) })
  }
  return { isSupported: frame => read(handlers, frame) !== undefined, fail, withFaults }
}

function read(
  handlers: ReadonlyMap<number, Handler>,
  frame: Buffer
): { handler: Handler; header: RequestHeader; body: ByteReader } | undefined {
  if (frame.length < REQUEST_BYTES_MIN) return undefined
  const [apiKey, apiVersion] = [frame.readInt16BE(0), frame.readInt16BE(2)]
  const handler = handlers.get(apiKey)
  if (handler === undefined || apiVersion < handler.versionMin || apiVersion > handler.versionMax) return undefined
  const body = new ByteReader(frame)
  return { handler, header: decodeRequestHeader(body), body }
}
