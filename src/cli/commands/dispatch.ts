/** `comporta dispatch`: one dispatcher of the group. */

import type { Command } from 'commander'

import { systemClock } from '../../core/index.ts'
import { type CommonOptions, loadPipeline, loggerFor, needSection } from '../context.ts'
import { keepYoungGenerationSmall } from '../process/memory.ts'
import { reloadOnHangup } from '../process/reload.ts'
import { runAlone } from '../process/role.ts'
import { writeOutput } from '../package/write-output.ts'
import type { RunRecorder } from '../roles/measured-run.ts'
import { dispatcherWithEndpoint } from '../wiring.ts'
import type { CommandAction } from './action.ts'
import { endpointOptionsOf, metricsHostOption, metricsPortOption } from './options.ts'

interface DispatchOptions extends CommonOptions {
  readonly measure?: string
}

/** Adds the command. */
export function addDispatch(program: Command, action: CommandAction): void {
  program
    .command('dispatch')
    .summary('run one dispatcher')
    .description(
      'Joins the consumer group of the pipeline file and hands batches to its target. Start as many as you like, up ' +
        'to the number of partitions. Ctrl-C finishes the batches in flight, commits, and leaves the group. SIGHUP ' +
        'reads the pipeline file again: limits of the flow may change while it runs.'
    )
    .option(...metricsPortOption)
    .option(...metricsHostOption)
    .option('--measure <file>', 'write what was measured, for comporta simulate --calibrate, when it has stopped')
    .addHelpText(
      'after',
      '\nExamples:\n  comporta dispatch\n  COMPORTA_DISPATCHER__BATCH__RECORDS_MAX=100 comporta dispatch\n' +
        '  comporta dispatch --measure run.json   # then: comporta simulate --from-pipeline --calibrate run.json'
    )
    .action(action(dispatch))
}

async function dispatch(options: DispatchOptions): Promise<number> {
  const pipeline = await loadPipeline(options)
  const section = dispatcherWithEndpoint(pipeline) ?? needSection(pipeline, 'dispatcher', options)
  const logger = loggerFor('dispatcher', options, pipeline.telemetry.logs)
  const { startDispatcherRole } = await import('../roles/dispatcher.ts')
  const { kafka } = pipeline
  const recorder = await recorderFor(options, section.concurrency)
  const roleOptions = { kafka, dispatcher: section, ...endpointOptionsOf(options, pipeline.telemetry) }
  const role = await startDispatcherRole(roleOptions, logger, { recorder })
  keepYoungGenerationSmall()
  const endReload = reloadOnHangup({
    load: async () => await loadPipeline(options),
    apply: again => role.replaceSettings(dispatcherWithEndpoint(again) ?? needSection(again, 'dispatcher', options)),
    logger
  })
  // It listens to signals before it says that it runs: whoever waits for the line may end it at once.
  const ended = runAlone(role, logger, section.drainMs)
  const what = `dispatching ${section.topics.join(', ')} as ${section.groupId} to ${role.info['target']}`
  const text = `${what} (process ${process.pid}). Ctrl-C drains, SIGHUP reads the file again`
  process.stdout.write(options.json === true ? `${JSON.stringify(role.info)}\n` : `${text}\n`)
  try {
    return await ended
  } finally {
    endReload()
    if (recorder !== undefined) await writeMeasured(recorder, options.measure ?? '')
  }
}

async function recorderFor({ measure }: DispatchOptions, concurrency: number): Promise<RunRecorder | undefined> {
  if (measure === undefined) return undefined
  const { RunRecorder } = await import('../roles/measured-run.ts')
  return new RunRecorder({ clock: systemClock, concurrency })
}

async function writeMeasured(recorder: RunRecorder, path: string): Promise<void> {
  const run = recorder.stop()
  await writeOutput(path, `${JSON.stringify(run)}\n`)
  process.stderr.write(`${path}: ${run.batches.length} of ${recorder.batchCount} batches\n`)
}
