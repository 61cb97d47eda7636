/** Answers of a log to appends that it does not take. */

import { KAFKA_ERRORS } from '../../protocol/index.ts'
import type { RefusedBatch } from './append-result.ts'
import { systemErrorCode } from './disk.ts'
import type { MarkerVerdict, SequenceVerdict } from './producer-state.ts'

/** A code of Kafka's protocol with its reason. */
export interface Refusal {
  readonly code: number
  readonly text: string
}

/** The log takes nothing at all. */
export function unavailable(error: { readonly code: number }, reason: string): RefusedBatch {
  const errorMessage = `the partition takes no records: ${reason}`
  return { errorCode: error.code, errorMessage, recordErrors: [], logStartOffset: -1n }
}

/** The batch could not be written. */
export function unwritten(error: unknown): RefusedBatch {
  const code = systemErrorCode(error)
  return unavailable(KAFKA_ERRORS.KAFKA_STORAGE_ERROR, code === '' ? 'it could not be written' : code)
}

/** Why the log does not take a batch, from what it knows of the producer. */
export function sequenceRefusal(
  verdict: Exclude<SequenceVerdict, { kind: 'next' } | { kind: 'duplicate' }>,
  producerId: bigint
): Refusal {
  switch (verdict.kind) {
    case 'staleEpoch':
      return staleEpoch(producerId, verdict.currentEpoch)
    case 'outOfOrder': {
      const text = `the next sequence of producer id ${producerId} is ${verdict.expectedSequence}`
      return { code: KAFKA_ERRORS.OUT_OF_ORDER_SEQUENCE_NUMBER.code, text }
    }
    case 'notInTransaction': {
      const text = `no transaction of producer id ${producerId} is open in this partition`
      return { code: KAFKA_ERRORS.INVALID_TXN_STATE.code, text }
    }
    case 'inTransaction': {
      const text = `producer id ${producerId} has a transaction open since offset ${verdict.firstOffset}`
      return { code: KAFKA_ERRORS.INVALID_TXN_STATE.code, text: `${text}: the batch must be part of it` }
    }
  }
}

/** Why the log does not take a marker. */
export function markerRefusal(verdict: Exclude<MarkerVerdict, { kind: 'next' }>, producerId: bigint): Refusal {
  switch (verdict.kind) {
    case 'staleEpoch':
      return staleEpoch(producerId, verdict.currentEpoch)
    case 'fencedCoordinator': {
      const text = `a transaction coordinator of epoch ${verdict.currentCoordinatorEpoch} has written since`
      return { code: KAFKA_ERRORS.TRANSACTION_COORDINATOR_FENCED.code, text }
    }
  }
}

function staleEpoch(producerId: bigint, currentEpoch: number): Refusal {
  const text = `producer id ${producerId} is at epoch ${currentEpoch} by now`
  return { code: KAFKA_ERRORS.INVALID_PRODUCER_EPOCH.code, text }
}
