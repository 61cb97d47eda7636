/** What looks further than now: the doctor, the bill, the simulator. */

import type { z } from 'zod'

import { costDefaults } from '../../config/index.ts'
import { messageOf, PipelineError } from '../../core/index.ts'
import { PRICES, type PriceList, readPriceList } from '../../ops/index.ts'
import type { AddRoutes, ConsoleContext } from '../server/server-types.ts'
import { costSchema, costView } from './cost-view.ts'
import { DoctorRunner } from './doctor-runner.ts'
import { simulateDefaults, simulateSchema, simulateView } from './simulate-view.ts'

/** Adds the answers of this area. */
export const addInsightRoutes: AddRoutes = (routes, context) => {
  const { pipeline, clock } = context
  const doctor = new DoctorRunner(context)
  let prices: Promise<PriceList> | undefined
  routes.view({ path: '/api/doctor', read: () => doctor.answer() })
  routes.order({
    path: '/api/doctor/run',
    needs: 'viewer',
    run: () => {
      doctor.run()
      return doctor.answer()
    }
  })
  routes.view({
    path: '/api/cost',
    read: async query => {
      const asked = checked(costSchema, Object.fromEntries(query))
      prices ??= priceListOf(context)
      const section = pipeline?.operations.cost ?? costDefaults()
      return costView({ section, pipeline, prices: await prices, asked, measured: measuredOf(context) })
    }
  })
  routes.view({ path: '/api/simulate', read: () => simulateDefaults(pipeline, measuredOf(context)) })
  routes.order({
    path: '/api/simulate',
    needs: 'viewer',
    run: body => simulateView(checked(simulateSchema, body), pipeline, () => clock.monotonicMs())
  })
}

/** What flows now, of the topics that the pipeline reads; nothing before the second look. */
function measuredOf({ world, pipeline }: ConsoleContext): { recordsPerSecond?: number; partitions?: number } {
  const look = world.latest()
  if (look === undefined) return {}
  const topics = pipeline?.dispatcher?.topics ?? []
  const partitions = topics.reduce((sum, topic) => sum + (look.scan.topics.get(topic)?.partitions.length ?? 0), 0)
  const rates = topics.map(topic => world.topicSeries(topic).values.at(-1) ?? undefined)
  const rate = rates.reduce<number>((sum, each) => sum + (each ?? 0), 0)
  return { ...(partitions === 0 ? {} : { partitions }), ...(rate === 0 ? {} : { recordsPerSecond: rate }) }
}

async function priceListOf({ pipeline, logger }: ConsoleContext): Promise<PriceList> {
  const path = pipeline?.operations.cost.prices
  if (path === undefined) return PRICES
  const { readFile } = await import('node:fs/promises')
  try {
    return readPriceList(await readFile(path, 'utf8'), path)
  } catch (error) {
    logger.warn({ path, error: messageOf(error) }, 'the price file cannot be used: the prices of the package are shown')
    return PRICES
  }
}

/** @throws PipelineError `ERR_CONSOLE_REQUEST` naming each field that is not as it should be. */
function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const read = schema.safeParse(value)
  if (read.success) return read.data
  const problems = read.error.issues.map(({ path, message }) => `${path.join('.') || 'the request'}: ${message}`)
  throw new PipelineError('ERR_CONSOLE_REQUEST', problems.join('; '))
}
