/**
 * Error codes of the room `ops`. A code is never reused for another meaning.
 * The page docs/reference/errors.md is generated from these tables.
 */

import type { ErrorCodeEntry } from './entry.ts'

export const opsErrorCodes = {
  ERR_OPS_LISTEN: {
    summary: 'The lag endpoint cannot listen on its port.',
    remedy: 'Choose another port, or 0 for any that is free.',
    retriable: false
  },
  ERR_OPS_AUDIT_FAILED: {
    summary: 'The audit of a redrive cannot be written.',
    remedy: 'Make room or rights where it is written, or name another file; the redrive goes on where it stopped.',
    retriable: false
  },
  ERR_OPS_CHAOS_TIMEOUT: {
    summary: 'A step of an experiment did not come to its end in time.',
    remedy: 'The message names the step. Look at the logs of the run; a busy machine needs a lower `--rate`.',
    retriable: false
  },
  ERR_OPS_ALERT_FAILED: {
    summary: 'An alert could not be delivered.',
    remedy: 'Check what the message names: the address, the secret, the right to publish, the network.',
    retriable: true
  },
  ERR_OPS_SLO_STATE: {
    summary: 'The state file of objectives cannot be read, written, or is damaged.',
    remedy: 'Correct the rights of the file, or move it away: budgets then begin anew.',
    retriable: false
  },
  ERR_OPS_KEDA_INVALID: {
    summary: 'Options of KEDA’s kafka trigger exclude each other, or are out of range.',
    remedy: 'Correct what the message names; KEDA itself would refuse the same.',
    retriable: false
  },
  ERR_OPS_INVALID: {
    summary: 'What an operation is told to do cannot be: a scope, a position or a time that is no such thing.',
    remedy: 'Correct what the message names.',
    retriable: false
  },
  ERR_OPS_LEDGER_INVALID: {
    summary: 'A file is no ledger, is damaged, or cannot be found.',
    remedy: 'Name files that `comporta demo --keep`, `comporta chaos` or a `LedgerWriter` has written.',
    retriable: false
  },
  ERR_OPS_MEASUREMENT_INVALID: {
    summary: 'A file that is to calibrate a simulation is no measured run.',
    remedy: 'Name a JSON file as docs/guides/simulate.md describes it; `npm run bench:simulate -- --keep` writes some.',
    retriable: false
  },
  ERR_OPS_NOT_FOUND: {
    summary: 'A topic, partition, group, record or fleet that an operation names does not exist.',
    remedy: 'Correct the name; the message says what is there.',
    retriable: false
  },
  ERR_OPS_OFFSETS_FILE: {
    summary: 'A file of offsets is in no form that is known.',
    remedy: 'Correct the line that the message names; `comporta offsets export` writes such files.',
    retriable: false
  },
  ERR_OPS_PRICES_INVALID: {
    summary: 'A price file is not in the form that `comporta cost` reads, or AWS’s price list lacks a price.',
    remedy: 'Write it anew with `comporta cost refresh`; the message names the place.',
    retriable: false
  },
  ERR_OPS_QUERY_INVALID: {
    summary: 'What is asked of records cannot be: a pattern, a condition, a format, or a place in a topic.',
    remedy: 'Correct what the message names.',
    retriable: false
  },
  ERR_OPS_REPORT_INPUT: {
    summary: 'A file that a report is to include is not what the command before has written.',
    remedy: 'Write it anew: `comporta chaos run all --json > chaos.json`.',
    retriable: false
  },
  ERR_OPS_REFUSED: {
    summary: 'Kafka, or a service beside it, refuses what an operation asks of it.',
    remedy: 'The message has its reason: a right that is missing, a group at work, a limit.',
    retriable: false
  },
  ERR_OPS_SILENCE: {
    summary: 'Kafka sent no records for a long time although there are some.',
    remedy: 'Look at the brokers that lead the partition, or at its topic: it may have been deleted meanwhile.',
    retriable: true
  },
  ERR_OPS_UNDO_STORE: {
    summary: 'What an undo would need cannot be written to the disk, or cannot be read.',
    remedy: 'Make the folder writable, or name another with --undo-dir; nothing was changed without it.',
    retriable: false
  },
  ERR_OPS_UNDO_DAMAGED: {
    summary: 'The record of a change cannot be used for its undo.',
    remedy: 'Restore the file from a backup, or put the state back by hand; the message says what is wrong with it.',
    retriable: false
  },
  ERR_OPS_FLEET_UNREACHABLE: {
    summary: 'Whoever keeps the instances (AWS, Kubernetes, a webhook, local processes) does not answer.',
    remedy:
      'Check the address, the network and the credentials; the message has the reason. Nothing is scaled meanwhile.',
    retriable: true
  },
  ERR_OPS_FLEET_INVALID: {
    summary: 'The settings by which a fleet is reached cannot be: a kubeconfig, a variable for a secret, a file.',
    remedy: 'Correct what the message names.',
    retriable: false
  },
  ERR_OPS_FLEET_LOCKED: {
    summary: 'Another `comporta scale` or `comporta rollout` works on the same fleet.',
    remedy: 'Stop the process that the message names, or let it finish: two of them would fight.',
    retriable: true
  },
  ERR_OPS_SCALE_STATE: {
    summary: 'What `comporta scale` or `comporta rollout` remembers between two runs cannot be read or written.',
    remedy: 'Make the file writable; delete it if it is damaged: pauses and measured rates are then forgotten.',
    retriable: false
  }
} as const satisfies Record<`ERR_OPS_${string}`, ErrorCodeEntry>
