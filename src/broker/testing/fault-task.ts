/** What a fault does to a request: stands between the dispatcher and the handler. */

import { type Clock, PipelineError, sleep } from '../../core/index.ts'
import { type KafkaErrorName, KAFKA_ERRORS } from '../../protocol/index.ts'
import type { RequestTask } from '../server/connection.ts'
import type { Fault } from './faults.ts'

/** What a fault needs of the request. */
export interface FaultContext {
  readonly apiName: string
  readonly clock: Clock
  /** The response that says an error wherever it can; `undefined` if the API has no place for it. */
  readonly fail: (errorCode: number) => readonly Buffer[] | undefined
}

/**
 * A request with its fault.
 *
 * @throws PipelineError `ERR_BROKER_REQUEST_REFUSED`, which closes the connection: for `close`, and for an API that
 *   has no error code to answer with.
 */
export function withFault(task: RequestTask, fault: Fault, context: FaultContext): RequestTask {
  if (fault === 'close') throw refused('a fault closed the connection')
  if (fault === 'drop') return { isOverlappable: false, run: () => Promise.resolve(undefined) }
  if (fault === 'dropAnswer' || fault === 'closeAfter') {
    const run = async (): Promise<undefined> => {
      await task.run()
      if (fault === 'closeAfter') throw refused('a fault closed the connection after the request')
    }
    return { ...task, run }
  }
  if ('delayMs' in fault) {
    const run = async (): Promise<readonly Buffer[] | undefined> => {
      await sleep(context.clock, fault.delayMs)
      return task.run()
    }
    return { isOverlappable: false, run }
  }
  const response = context.fail('error' in fault ? codeOf(fault.error) : fault.errorCode)
  if (response === undefined) throw refused(`a fault asked ${context.apiName} to fail, which has no error code for all`)
  return { isOverlappable: false, run: () => Promise.resolve(response) }
}

function codeOf(error: KafkaErrorName): number {
  return KAFKA_ERRORS[error].code
}

function refused(message: string): PipelineError {
  return new PipelineError('ERR_BROKER_REQUEST_REFUSED', message)
}
