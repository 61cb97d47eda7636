/**
 * Partitions as cells, coloured by lag, rate or owner. A cell is an option of a list for each topic: arrows move,
 * Enter keeps one, whose facts then stay below the map. Zero, unknown and every step have colours of their own, which
 * differ in lightness; hot ones have a frame and are named, paused ones are struck through, owners have letters.
 *
 * A cell that has not changed is the same object as before: a look at 5,000 partitions touches only what is new.
 */

import './heat-map.css'

import { useSignal } from '@preact/signals'
import type { ComponentChildren, VNode } from 'preact'
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks'

import type { HeatCell, HeatMap as HeatMapData, HeatMetric } from '../../../api/groups.ts'
import { count } from '../../base/format.ts'
import { language, t } from '../../base/words.ts'
import { Empty } from '../feedback.tsx'
import { Select } from '../field.tsx'
import { cellFacts, hotText, metricText } from './heat-words.ts'
import { HeatLegend, ownerClasses } from './heat-legend.tsx'
import {
  cellPixels,
  type HeatScale,
  heatScale,
  heatStep,
  heatValue,
  movedCell,
  type OwnerLook,
  ownerLooks
} from './heat-scale.ts'

/** A partition that is pointed at. */
export interface HeatPlace {
  readonly topic: string
  readonly partition: number
}

/** What a map is given. */
export interface HeatMapOptions {
  readonly map: HeatMapData
  readonly metric: HeatMetric
  readonly metrics: readonly HeatMetric[]
  readonly onMetric: (metric: HeatMetric) => void
  /** What can be done with the partition that is kept. */
  readonly actionsOf?: (place: HeatPlace) => ComponentChildren
}

interface Painted {
  readonly metric: HeatMetric
  readonly scale: HeatScale
  readonly owners: readonly string[]
  readonly looks: ReadonlyMap<string, OwnerLook>
  readonly pixels: number
}

/** See the module. */
export function HeatMap(options: HeatMapOptions): VNode {
  const { map, metric } = options
  const kept = useSignal<HeatPlace | undefined>(undefined)
  const pointed = useSignal<HeatPlace | undefined>(undefined)
  const painted = usePaint(map, metric)
  const total = map.topics.reduce((sum, { cells }) => sum + cells.length, 0)
  if (total === 0) return <Empty title={t('heat.none')} />
  const seen = pointed.value ?? kept.value
  const cell = seen === undefined ? undefined : cellAt(map, seen)
  return (
    <div class="heat">
      <div class="heat-tools">
        {options.metrics.length < 2 ? null : (
          <Select
            label={t('heat.metric')}
            value={metric}
            choices={options.metrics.map(value => ({ value, text: metricText(value) }))}
            onValue={options.onMetric}
          />
        )}
        <HeatLegend metric={metric} scale={painted.scale} owners={painted.owners} looks={painted.looks} />
      </div>
      <HotNames map={map} onChoose={place => (kept.value = place)} />
      <div
        class="heat-topics"
        style={{ '--cell': `${painted.pixels}px` }}
        onPointerLeave={() => (pointed.value = undefined)}
      >
        {map.topics.map(({ topic, cells }) => (
          <TopicCells
            key={topic}
            topic={topic}
            cells={cells}
            painted={painted}
            kept={kept.value?.topic === topic ? kept.value.partition : undefined}
            onPoint={partition => (pointed.value = { topic, partition })}
            onKeep={partition => (kept.value = { topic, partition })}
          />
        ))}
      </div>
      {map.hiddenPartitions > 0 ? <p class="soft">{t('heat.tooMany', { count: map.hiddenPartitions })}</p> : null}
      <div class="heat-facts">
        {seen === undefined || cell === undefined ? (
          <span class="soft">{t('heat.hint')}</span>
        ) : (
          <>
            <strong class="mono">{`${seen.topic}-${seen.partition}`}</strong>
            <span>{cellFacts(cell, map.owners)}</span>
            {kept.value === undefined || pointed.value !== undefined ? null : options.actionsOf?.(kept.value)}
          </>
        )}
      </div>
    </div>
  )
}

function usePaint(map: HeatMapData, metric: HeatMetric): Painted {
  const looks = useRef<ReadonlyMap<string, OwnerLook>>(new Map())
  return useMemo(() => {
    looks.current = ownerLooks(map.owners, looks.current)
    const cells = map.topics.flatMap(topic => topic.cells)
    return {
      metric,
      scale: heatScale(
        cells.map(cell => heatValue(cell, metric)),
        metric
      ),
      owners: map.owners,
      looks: looks.current,
      pixels: cellPixels(cells.length, metric)
    }
  }, [map, metric])
}

function cellAt(map: HeatMapData, { topic, partition }: HeatPlace): HeatCell | undefined {
  return map.topics.find(each => each.topic === topic)?.cells.find(cell => cell.partition === partition)
}

/** Hot partitions that are named. */
const NAMED_MAX = 5

function HotNames({ map, onChoose }: { readonly map: HeatMapData; readonly onChoose: (at: HeatPlace) => void }): VNode {
  const { hot } = map
  return (
    <p class="heat-hot" role="status">
      <span class={hot.length === 0 ? 'soft' : 'heat-hot-count'}>
        {hot.length === 0 ? t('heat.hotNone') : t('heat.hotSome', { count: hot.length })}
      </span>
      {hot.slice(0, NAMED_MAX).map(each => (
        <button
          key={`${each.topic} ${each.partition}`}
          type="button"
          class="heat-hot-name mono"
          title={hotText(each)}
          onClick={() => onChoose(each)}
        >
          {`${each.topic}-${each.partition}`}{' '}
          <span class="soft">{`×${count(Math.round(each.timesFair * 10) / 10)}`}</span>
        </button>
      ))}
      {hot.length > NAMED_MAX ? <span class="soft">{t('heat.more', { count: hot.length - NAMED_MAX })}</span> : null}
    </p>
  )
}

interface TopicCellsOptions {
  readonly topic: string
  readonly cells: readonly HeatCell[]
  readonly painted: Painted
  readonly kept: number | undefined
  readonly onPoint: (partition: number) => void
  readonly onKeep: (partition: number) => void
}

function TopicCells(options: TopicCellsOptions): VNode {
  const { topic, cells } = options
  const active = useSignal(0)
  const list = useRef<HTMLDivElement>(null)
  const nodes = useCells(options)
  const at = Math.min(active.value, cells.length - 1)
  const point = (index: number): void => {
    const cell = cells[index]
    if (cell === undefined) return
    active.value = index
    options.onPoint(cell.partition)
  }
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault()
      const cell = cells[at]
      if (cell !== undefined) options.onKeep(cell.partition)
      return
    }
    const next = movedCell(event.key, at, { count: cells.length, columns: columnsOf(list.current) })
    if (next === undefined) return
    event.preventDefault()
    point(next)
    list.current?.children[next]?.scrollIntoView({ block: 'nearest' })
  }
  return (
    <section class="heat-topic" aria-label={topic} style={{ '--count': String(cells.length) }}>
      <h3 class="cut" title={topic}>
        {t('heat.topic', { topic, count: cells.length })}
      </h3>
      <div
        ref={list}
        class="heat-cells"
        role="listbox"
        tabIndex={0}
        aria-label={`${t('heat.topic', { topic, count: cells.length })}. ${t('heat.topicHelp')}`}
        aria-activedescendant={cellId(topic, cells[at]?.partition ?? 0)}
        onKeyDown={onKey}
        onFocus={() => point(at)}
        onPointerOver={event => point(indexOf(event.target))}
        onClick={event => {
          const index = indexOf(event.target)
          point(index)
          const cell = cells[index]
          if (cell !== undefined) options.onKeep(cell.partition)
        }}
      >
        {nodes}
      </div>
      <ActiveMark list={list} index={at} />
    </section>
  )
}

/** Shows which cell the keyboard is at: one class on one element, not a new drawing of all. */
function ActiveMark(options: {
  readonly list: { readonly current: HTMLDivElement | null }
  readonly index: number
}): null {
  useLayoutEffect(() => {
    const { current } = options.list
    current?.querySelector('.heat-active')?.classList.remove('heat-active')
    current?.children[options.index]?.classList.add('heat-active')
  })
  return null
}

function useCells({ topic, cells, painted, kept }: TopicCellsOptions): readonly VNode[] {
  const cache = useRef(new Map<string, VNode>())
  const shown = language.value
  return useMemo(() => {
    const before = cache.current
    const after = new Map<string, VNode>()
    const nodes = cells.map((cell, index) => {
      const look = lookOf(cell, painted)
      const isKept = cell.partition === kept
      const key = `${index} ${look.class} ${look.text} ${isKept} ${shown} ${rawFacts(cell, painted)}`
      // Words are made for cells that have changed only: numbers in a language are the dearest part of a map.
      const node = before.get(key) ?? (
        <span
          key={cell.partition}
          id={cellId(topic, cell.partition)}
          class={look.class}
          role="option"
          aria-selected={isKept}
          aria-label={t('heat.cell', {
            name: `${topic}-${cell.partition}`,
            facts: cellFacts(cell, painted.owners)
          })}
          data-index={index}
          data-mark={look.text}
        />
      )
      after.set(key, node)
      return node
    })
    cache.current = after
    return nodes
  }, [cells, painted, kept, shown])
}

/** All that the words of a cell are made of. */
function rawFacts({ partition, lagSeconds, lagRecords, rate, owner }: HeatCell, { owners }: Painted): string {
  return `${partition} ${lagSeconds} ${lagRecords} ${rate} ${owners[owner]}`
}

function lookOf(cell: HeatCell, painted: Painted): { readonly class: string; readonly text: string } {
  const classes = ['heat-cell']
  const isOwner = painted.metric === 'owner'
  const owner = painted.looks.get(painted.owners[cell.owner] ?? '')
  if (isOwner) classes.push(...ownerClasses(owner))
  else classes.push(`heat-${heatStep(heatValue(cell, painted.metric), painted.scale) ?? 'unknown'}`)
  if (cell.isHot) classes.push('heat-is-hot')
  if (cell.isPaused) classes.push('heat-is-paused')
  const text = isOwner ? (owner?.mark ?? '') : String(cell.partition)
  return { class: classes.join(' '), text: painted.pixels >= 24 ? text : '' }
}

function cellId(topic: string, partition: number): string {
  return `heat-${encodeURIComponent(topic)}-${partition}`
}

function indexOf(target: EventTarget | null): number {
  const index = target instanceof HTMLElement ? target.dataset['index'] : undefined
  return index === undefined ? -1 : Number(index)
}

function columnsOf(list: HTMLElement | null): number {
  return list === null ? 1 : Math.max(1, getComputedStyle(list).gridTemplateColumns.split(' ').length)
}
