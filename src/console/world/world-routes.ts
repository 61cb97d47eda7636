/**
 * What the console shows of the cluster: overview, groups, topics, maps, timelines. Every answer is made from the last
 * look; nothing is asked of the cluster for a view but the settings of a topic, which are kept for a while.
 */

import type { Page, Series } from '../api/common.ts'
import type { GroupDetail, GroupRow, HeatMap, Histograms, RebalanceEntry } from '../api/groups.ts'
import type { Overview } from '../api/overview.ts'
import type { TopicDetail, TopicRow } from '../api/topics.ts'
import type { AddRoutes, ConsoleContext } from '../server/server-types.ts'
import { GroupSaid } from './dispatcher-facts.ts'
import { groupDetail } from './group-detail.ts'
import { GroupRows } from './group-rows.ts'
import { groupHeatMap, topicHeatMap } from './heat-map.ts'
import { HistogramBook } from './histograms.ts'
import { type LookIndex, LookIndexes } from './look-index.ts'
import { shortNumbers } from './numbers.ts'
import { OverviewMaker } from './overview/overview.ts'
import { pipelineNames } from './pipeline-names.ts'
import { askedPage, badRequest, neededText, notFound, textOf } from './query.ts'
import { SettingsCache } from './settings-cache.ts'
import { topicPartitions, TopicRows } from './topic-rows.ts'
import type { WorldLook } from './world-types.ts'

/** Adds the views of this area. */
export const addWorldRoutes: AddRoutes = (routes, context) => {
  const views = new WorldViews(context)
  routes.view({ path: '/api/overview', read: async () => await views.overview() })
  routes.view({ path: '/api/groups', read: async query => await views.groups(query) })
  routes.view({ path: '/api/group', read: async query => await views.group(query) })
  routes.view({ path: '/api/heat-map', read: async query => await views.heatMap(query) })
  routes.view({ path: '/api/rebalances', read: async query => await views.rebalances(query) })
  routes.view({ path: '/api/histograms', read: async query => await views.histograms(query) })
  routes.view({ path: '/api/topics', read: async query => await views.topics(query) })
  routes.view({ path: '/api/topic', read: async query => await views.topic(query) })
}

interface Looked {
  readonly look: WorldLook
  readonly index: LookIndex
}

class WorldViews {
  readonly #context: ConsoleContext
  readonly #indexes: LookIndexes
  readonly #groups: GroupRows
  readonly #topics: TopicRows
  readonly #settings: SettingsCache
  readonly #overviews: OverviewMaker
  readonly #histograms = new HistogramBook()

  constructor(context: ConsoleContext) {
    const { world, operations, pipeline, admin, clock, logger, instances, closing } = context
    const names = pipelineNames(pipeline, operations)
    this.#context = context
    this.#indexes = new LookIndexes(world)
    this.#groups = new GroupRows({ world, operations, names })
    this.#topics = new TopicRows(names)
    this.#settings = new SettingsCache(admin, clock, logger)
    this.#overviews = new OverviewMaker({ world, pipeline, rows: this.#groups, names })
    const stopListening = world.onLook(() => {
      this.#histograms.see(instances.latest())
      this.#overviews.see(instances.latest())
    })
    closing.addEventListener('abort', stopListening, { once: true })
  }

  async overview(): Promise<Overview> {
    const { look, index } = await this.#look()
    return this.#overviews.make(look, index, this.#context.instances.latest())
  }

  async groups(query: URLSearchParams): Promise<Page<GroupRow>> {
    const { look, index } = await this.#look()
    return { freshness: look.freshness, ...this.#groups.page(index, query) }
  }

  async group(query: URLSearchParams): Promise<GroupDetail> {
    const groupId = neededText(query, 'id')
    const { look, index } = await this.#look()
    const { world } = this.#context
    const said = this.#said(groupId)
    return groupDetail({ groupId, index, freshness: look.freshness, query, world, rows: this.#groups, said })
  }

  async heatMap(query: URLSearchParams): Promise<HeatMap> {
    const [groupId, topic] = [textOf(query, 'group'), textOf(query, 'topic')]
    const { look, index } = await this.#look()
    const options = { index, freshness: look.freshness, world: this.#context.world }
    if (groupId !== undefined) return groupHeatMap(groupId, this.#said(groupId), options)
    if (topic !== undefined) return topicHeatMap(topic, options)
    throw badRequest('group or topic is missing')
  }

  async rebalances(query: URLSearchParams): Promise<Page<RebalanceEntry>> {
    const asked = askedPage(query, { sorts: ['atMs'], sort: 'atMs', isDescending: true })
    const groupId = textOf(query, 'group')
    const { look } = await this.#look()
    const all = this.#context.world.rebalances(groupId)
    const found = asked.find === '' ? all : all.filter(each => each.groupId.toLowerCase().includes(asked.find))
    const { offset, limit } = asked
    return { freshness: look.freshness, rows: found.slice(offset, offset + limit), total: found.length, offset }
  }

  async histograms(query: URLSearchParams): Promise<Histograms> {
    const groupId = neededText(query, 'group')
    const { look } = await this.#look()
    return { freshness: look.freshness, ...this.#histograms.read(groupId) }
  }

  async topics(query: URLSearchParams): Promise<Page<TopicRow>> {
    const { look, index } = await this.#look()
    return { freshness: look.freshness, ...this.#topics.page(index, query) }
  }

  async topic(query: URLSearchParams): Promise<TopicDetail> {
    const name = neededText(query, 'name')
    const { look, index } = await this.#look()
    const scanned = index.scan.topics.get(name)
    if (scanned === undefined) throw notFound(`topic ${name}`)
    const { world } = this.#context
    const { timesMs, values } = world.topicSeries(name)
    const rate: Series = { timesMs, values: shortNumbers(values) }
    return {
      freshness: look.freshness,
      row: this.#topics.row(scanned, index),
      partitions: topicPartitions(scanned, query, world),
      settings: await this.#settings.of(name),
      rate
    }
  }

  #said(groupId: string): GroupSaid {
    return new GroupSaid(this.#context.instances.latest(), groupId)
  }

  async #look(): Promise<Looked> {
    const look = await this.#context.world.ready()
    return { look, index: this.#indexes.of(look) }
  }
}
