/**
 * The pipeline drawn as it is. Arrows are an SVG, boxes are links above it: they are read out, focused and opened as
 * links are. The arrows' rates are in a table as well, for whoever does not see them.
 */

import './pipeline-drawing.css'

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks'

import type { HealthLevel } from '../../../api/common.ts'
import type { NodeKind, Overview } from '../../../api/overview.ts'
import { rate } from '../../base/format.ts'
import { factText, reasonText } from '../../base/reasons.ts'
import { Link } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import { Health } from '../../parts/health.tsx'
import { Icon, type IconName } from '../../parts/icon.tsx'
import { boxFacts } from './box-facts.ts'
import { nodePath } from './node-links.ts'
import { type DrawnBox, type DrawnEdge, type Drawing, drawPipeline } from './pipeline-layout.ts'

const icons: Readonly<Record<NodeKind, IconName>> = {
  source: 'source',
  producer: 'producer',
  topic: 'topics',
  group: 'groups',
  target: 'target',
  retries: 'retries',
  deadLetters: 'deadLetters'
}

/** See the module. */
export function PipelineDrawing({ overview }: { readonly overview: Overview }): VNode {
  const frame = useRef<HTMLDivElement>(null)
  const width = useWidth(frame)
  const { nodes, edges } = overview
  const drawing = useMemo(() => drawPipeline({ nodes, edges, width }), [nodes, edges, width])
  const pointed = useSignal<string | undefined>(undefined)
  const headings = drawing.isTall ? [] : headingsOf(drawing.boxes)
  return (
    <div ref={frame} class="pipeline" role="group" aria-label={t('overview.drawing.label')}>
      {headings.length === 0 ? null : (
        <div class="pipeline-heads" aria-hidden="true">
          {headings.map(box => (
            <span key={box.kind} class="cut" style={{ left: `${box.left}px`, width: `${box.width}px` }}>
              {t(`kinds.${box.kind}`)}
            </span>
          ))}
        </div>
      )}
      <div class="pipeline-canvas" style={{ height: `${drawing.height}px` }}>
        <Arrows drawing={drawing} pointed={pointed.value} />
        {drawing.boxes.map(box => (
          <Box key={box.id} box={box} isTall={drawing.isTall} onPoint={id => (pointed.value = id)} />
        ))}
      </div>
    </div>
  )
}

/** The first box of each column that stands in the row of all. */
function headingsOf(boxes: readonly DrawnBox[]): readonly DrawnBox[] {
  return boxes.filter(
    (box, index) => !box.isBelow && boxes.findIndex(other => other.layer === box.layer && !other.isBelow) === index
  )
}

function useWidth(frame: { readonly current: HTMLDivElement | null }): number {
  const width = useSignal(1_000)
  useLayoutEffect(() => {
    const element = frame.current
    if (element === null) return undefined
    const read = (): void => {
      if (element.clientWidth > 0) width.value = element.clientWidth
    }
    read()
    const observer = new ResizeObserver(read)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return width.value
}

const levels: readonly HealthLevel[] = ['good', 'warn', 'bad', 'unknown', 'idle']

/** The arrows; while a box is pointed at, its own stand out and the others step back. */
function Arrows(options: { readonly drawing: Drawing; readonly pointed: string | undefined }): VNode {
  const { edges, width, height } = options.drawing
  const isOf = (edge: DrawnEdge): boolean => edge.from === options.pointed || edge.to === options.pointed
  const isAny = edges.some(isOf)
  return (
    <svg class="pipeline-arrows" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <defs>
        {levels.map(level => (
          <marker
            key={level}
            id={`arrow-${level}`}
            class={`health-${level}`}
            viewBox="0 0 10 10"
            refX="2"
            refY="5"
            markerWidth="10"
            markerHeight="10"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path class="arrow-head" d="M0 0.5 10 5 0 9.5z" />
          </marker>
        ))}
      </defs>
      {edges.map(edge => (
        <Arrow key={edge.key} edge={edge} isBack={isAny && !isOf(edge)} />
      ))}
      {edges.map(edge =>
        edge.spot === undefined || edge.rate === null || !(isAny ? isOf(edge) : edge.isLabelled) ? null : (
          <text key={edge.key} class="arrow-label" x={edge.spot.x} y={edge.spot.y + 4}>
            {rate(edge.rate)}
          </text>
        )
      )}
    </svg>
  )
}

function Arrow({ edge, isBack }: { readonly edge: DrawnEdge; readonly isBack: boolean }): VNode {
  const level = edge.rate === null ? 'unknown' : edge.rate === 0 && edge.health === 'good' ? 'idle' : edge.health
  const isFlowing = edge.rate !== null && edge.rate > 0
  return (
    <g class={`arrow health-${level} ${edge.rate === null ? 'arrow-unknown' : ''} ${isBack ? 'arrow-back' : ''}`}>
      <path class="arrow-line" d={edge.path} stroke-width={edge.width} marker-end={`url(#arrow-${level})`} />
      {isFlowing ? (
        <path class={`arrow-flow arrow-pace-${pace(edge.rate)}`} d={edge.path} stroke-width={edge.width * 0.5} />
      ) : null}
    </g>
  )
}

/** How quickly the dashes move: by the order of magnitude of the rate, 0 to 4. */
function pace(perSecond: number | null): number {
  return Math.max(0, Math.min(4, Math.floor(Math.log10(1 + (perSecond ?? 0)))))
}

function Box(options: {
  readonly box: DrawnBox
  readonly isTall: boolean
  readonly onPoint: (id: string | undefined) => void
}): VNode {
  const { box, onPoint } = options
  const { node } = box
  const kind = t(`kind.${box.kind}`)
  const name = node?.name ?? t('overview.more', { count: box.count })
  const facts = node?.facts.map(factText).join(' · ') ?? t(`kinds.${box.kind}`)
  const lines = node === undefined ? [facts] : boxFacts(box.kind, node.facts).map(factText)
  const reasons = node?.reasons.map(reasonText).join('\n') ?? ''
  const isWell = box.health === 'good' || box.health === 'idle'
  return (
    <div
      class={`pipeline-box health-${box.health} ${node === undefined ? 'pipeline-box-more' : ''}`}
      style={{ left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` }}
      onPointerEnter={() => onPoint(box.id)}
      onPointerLeave={() => onPoint(undefined)}
      onFocusCapture={() => onPoint(box.id)}
      onBlurCapture={() => onPoint(undefined)}
    >
      <Link to={nodePath(box.kind, node?.name)} title={[`${kind}: ${name}`, facts, reasons].join('\n').trim()}>
        <span class="pipeline-name">
          <Health level={box.health} isWordHidden />
          <span class="visually-hidden">{kind} </span>
          <strong class="cut">{name}</strong>
          {options.isTall || box.isBelow ? <Icon name={icons[box.kind]} size={15} /> : null}
        </span>
        {isWell && lines.length === 0 ? null : (
          <span class="pipeline-facts cut">
            {isWell ? null : <em>{t(`health.${box.health}`)} </em>}
            {lines[0]}
          </span>
        )}
        {lines[1] === undefined ? null : <span class="pipeline-facts cut">{lines[1]}</span>}
        <span class="visually-hidden">{reasons}</span>
      </Link>
    </div>
  )
}
