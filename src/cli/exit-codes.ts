/** Exit codes. Source: sysexits.h, and 128 + signal number for a stop that was cut short. */

import { PipelineError } from '../core/index.ts'

/** The codes by name; docs/reference/exit-codes.md says what to do about each. */
export const EXIT = {
  ok: 0,
  /** The run ended, and its verdict is no: a failed audit. */
  failed: 1,
  /** The command line is wrong. */
  usage: 64,
  /** An input file cannot be read, or holds data that was refused. */
  data: 65,
  /** Kafka, the target or another service cannot be reached, or a port cannot be had. */
  unavailable: 69,
  /** A bug: something that cannot happen. */
  software: 70,
  /** The disk or the data folder. */
  io: 74,
  /** The stop was not complete: some work will be done again. */
  incomplete: 75,
  /** The pipeline file, the environment, or the version of Node. */
  config: 78,
  /** A second Ctrl-C. */
  interrupted: 130,
  /** Nobody reads the output any more: as if SIGPIPE had ended the process. */
  lostReader: 141
} as const

/** Errors of other rooms that speak of a setting: nothing but the pipeline file can help. */
const SETTINGS: ReadonlySet<string> = new Set([
  'ERR_BROKER_INVALID_SETTING',
  'ERR_CLIENT_OPTIONS_INVALID',
  'ERR_CONSOLE_UNSAFE',
  'ERR_DISPATCHER_DEAD_LETTER_LOOP',
  'ERR_DISPATCHER_TARGET_INVALID',
  'ERR_DISPATCHER_TRANSFORM_INVALID',
  'ERR_LAMBDA_DISTRIBUTOR_OPTIONS_INVALID',
  'ERR_LAMBDA_MAPPING_INVALID',
  'ERR_LAMBDA_OPTIONS_INVALID',
  'ERR_OPS_FLEET_INVALID',
  'ERR_PRODUCER_SOURCE_INVALID',
  'ERR_PRODUCER_SOURCE_LOOP'
])

/** The input is not what it should be. */
const REFUSED_DATA: ReadonlySet<string> = new Set([
  'ERR_CLI_INPUT',
  'ERR_OPS_LEDGER_INVALID',
  'ERR_OPS_OFFSETS_FILE',
  'ERR_OPS_PRICES_INVALID',
  'ERR_OPS_REPORT_INPUT',
  'ERR_OPS_SLO_STATE',
  'ERR_OPS_UNDO_DAMAGED',
  'ERR_OPS_MEASUREMENT_INVALID',
  'ERR_PRODUCER_STATE_INVALID',
  'ERR_PRODUCER_STATE_MISMATCH'
])

/** Ends of a part that no second start will change: they are the end of the whole. */
const LASTING: ReadonlySet<unknown> = new Set([EXIT.data, EXIT.software, EXIT.io, EXIT.config])

/** The exit code of an error that reached the top. */
export function exitCodeOf(error: unknown): number {
  if (!PipelineError.is(error)) return EXIT.software
  if (error.code.startsWith('ERR_CONFIG_') || SETTINGS.has(error.code)) return EXIT.config
  if (REFUSED_DATA.has(error.code)) return EXIT.data
  if (error.code === 'ERR_PRODUCER_STATE_FAILED') return EXIT.io
  if (
    [
      'ERR_CLI_OUTPUT',
      'ERR_OPS_UNDO_STORE',
      'ERR_OPS_AUDIT_FAILED',
      'ERR_OPS_SCALE_STATE',
      'ERR_CONSOLE_AUDIT'
    ].includes(error.code)
  )
    return EXIT.io
  if (error.code === 'ERR_OPS_KEDA_INVALID') return EXIT.usage
  if (error.code === 'ERR_DISPATCHER_REPLAY_INVALID' || error.code === 'ERR_OPS_QUERY_INVALID') return EXIT.usage
  const { exitCode } = error.fields
  if (typeof exitCode === 'number' && LASTING.has(exitCode)) return exitCode
  if (error.code.startsWith('ERR_CLI_')) return error.code === 'ERR_CLI_USAGE' ? EXIT.usage : EXIT.unavailable
  if (error.code === 'ERR_BROKER_LISTEN_FAILED') return EXIT.unavailable
  if (error.code.startsWith('ERR_BROKER_')) return EXIT.io
  if (error.code === 'ERR_CORE_INVARIANT') return EXIT.software
  return EXIT.unavailable
}
