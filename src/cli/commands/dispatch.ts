/** `comporta dispatch`: one dispatcher of the group. */

import type { Command } from 'commander'

import { type CommonOptions, loadPipeline, loggerFor, needSection } from '../context.ts'
import { keepYoungGenerationSmall } from '../process/memory.ts'
import { reloadOnHangup } from '../process/reload.ts'
import { runAlone } from '../process/role.ts'
import { dispatcherWithEndpoint } from '../wiring.ts'
import type { CommandAction } from './action.ts'
import { metricsPortOption } from './options.ts'

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
    .addHelpText(
      'after',
      '\nExamples:\n  comporta dispatch\n  COMPORTA_DISPATCHER__BATCH__RECORDS_MAX=100 comporta dispatch'
    )
    .action(action(dispatch))
}

async function dispatch(options: CommonOptions): Promise<number> {
  const pipeline = await loadPipeline(options)
  const section = dispatcherWithEndpoint(pipeline) ?? needSection(pipeline, 'dispatcher', options)
  const logger = loggerFor('dispatcher', options)
  const { startDispatcherRole } = await import('../roles/dispatcher.ts')
  const role = await startDispatcherRole(
    { kafka: pipeline.kafka, dispatcher: section, metricsPort: options.metricsPort },
    logger
  )
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
  }
}
