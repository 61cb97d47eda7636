/** The drawing of the pipeline: places of boxes, ways of arrows, and what is done with too many. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { HealthLevel } from '../../src/console/api/common.ts'
import type { NodeKind, PipelineEdge, PipelineNode } from '../../src/console/api/overview.ts'
import { boxFacts } from '../../src/console/web/pages/overview/box-facts.ts'
import { edgeWidth, LABEL_HEIGHT, LABEL_WIDTH } from '../../src/console/web/pages/overview/edge-routes.ts'
import { nodePath } from '../../src/console/web/pages/overview/node-links.ts'
import { type DrawnBox, drawPipeline, LAYER_BOXES_MAX } from '../../src/console/web/pages/overview/pipeline-layout.ts'

function node(kind: NodeKind, name: string, health: HealthLevel = 'good'): PipelineNode {
  return { id: `${kind}:${name}`, kind, name, health, reasons: [], facts: [] }
}

function edge(from: PipelineNode, to: PipelineNode, rate: number | null = 1): PipelineEdge {
  return { from: from.id, to: to.id, rate, health: 'good' }
}

const http = node('source', 'http')
const producer = node('producer', 'p')
const orders = node('topic', 'orders')
const payments = node('topic', 'payments')
const billing = node('group', 'billing')
const shipping = node('group', 'shipping')
const lambda = node('target', 'lambda')
const letters = node('deadLetters', 'billing.dlq')
const retries = node('retries', 'billing.retry')
const small = {
  nodes: [http, producer, orders, payments, billing, shipping, lambda, letters, retries],
  edges: [
    edge(http, producer, 100),
    edge(producer, orders, 90),
    edge(producer, payments, 10),
    // Crossed if groups stood in the order of their names.
    edge(payments, billing, 10),
    edge(orders, shipping, 90),
    edge(billing, lambda, 10),
    edge(shipping, lambda, 90),
    edge(billing, letters, 0),
    edge(billing, retries, 1),
    edge(retries, billing, 1)
  ]
}

function overlapping(boxes: readonly DrawnBox[]): string[] {
  return boxes.flatMap((a, index) =>
    boxes
      .slice(index + 1)
      .filter(
        b =>
          a.left < b.left + b.width && b.left < a.left + a.width && a.top < b.top + b.height && b.top < a.top + a.height
      )
      .map(b => `${a.id} over ${b.id}`)
  )
}

test('layers follow each other from left to right, and what hangs below is below', () => {
  const { boxes, isTall, width } = drawPipeline({ ...small, width: 1_100 })
  const at = (of: PipelineNode): DrawnBox => boxes.find(({ id }) => id === of.id) ?? assert.fail(of.id)

  assert.equal(isTall, false)
  const lefts = [http, producer, orders, billing, lambda].map(of => at(of).left)
  assert.deepEqual(
    lefts,
    lefts.toSorted((a, b) => a - b)
  )
  assert.ok(at(letters).top > Math.max(...[orders, payments, billing, shipping].map(of => at(of).top)))
  assert.ok(boxes.every(box => box.left >= 0 && box.left + box.width <= width + 1))
})

test('groups stand beside the topics that they read, so that arrows do not cross', () => {
  const { boxes } = drawPipeline({ ...small, width: 1_100 })
  const top = (of: PipelineNode): number => boxes.find(({ id }) => id === of.id)?.top ?? Number.NaN
  assert.equal(top(orders) < top(payments), top(shipping) < top(billing))
})

test('on every width no box covers another, and all are within the drawing', () => {
  for (let width = 300; width <= 2_600; width += 100) {
    const { boxes, height } = drawPipeline({ ...small, width })
    assert.deepEqual(overlapping(boxes), [], `${width}`)
    for (const box of boxes) {
      assert.ok(box.left >= 0 && box.left + box.width <= width + 1, `${box.id} at ${width}`)
      assert.ok(box.top >= 0 && box.top + box.height <= height, `${box.id} at ${width}`)
    }
  }
})

test('of many topics the worst and busiest are drawn, and one box stands for the others and their arrows', () => {
  const topics = Array.from({ length: 221 }, (_, index) => node('topic', `t${index}`, index === 200 ? 'bad' : 'good'))
  const group = node('group', 'g')
  const edges = topics.map((topic, index) => edge(topic, group, index === 7 ? 1_000 : 1))
  const drawing = drawPipeline({ nodes: [...topics, group], edges, width: 1_200 })
  const drawn = drawing.boxes.filter(({ kind }) => kind === 'topic')
  const more = drawn.find(({ node: one }) => one === undefined)

  assert.equal(drawn.length, LAYER_BOXES_MAX)
  assert.ok(drawn.some(({ id }) => id === 'topic:t200'))
  assert.ok(drawn.some(({ id }) => id === 'topic:t7'))
  assert.equal(more?.count, 221 - (LAYER_BOXES_MAX - 1))
  assert.equal(drawing.edges.find(({ from }) => from === more?.id)?.rate, more?.count)
  assert.equal(drawing.edges.length, LAYER_BOXES_MAX)
})

test('places do not depend on rates while the boxes are the same', () => {
  const places = (rate: number): string =>
    JSON.stringify(
      drawPipeline({ ...small, edges: small.edges.map(one => ({ ...one, rate })), width: 1_000 }).boxes.map(
        ({ id, left, top }) => [id, left, top]
      )
    )
  assert.equal(places(1), places(100_000))
})

test('an arrow whose rate is not known has no rate, and adds nothing to the sum of others', () => {
  const many = Array.from({ length: 20 }, (_, index) => node('topic', `t${index}`))
  const group = node('group', 'g')
  const drawing = drawPipeline({
    nodes: [...many, group],
    edges: many.map(one => edge(one, group, null)),
    width: 1_000
  })
  assert.ok(drawing.edges.every(({ rate, isLabelled }) => rate === null && !isLabelled))
  assert.equal(edgeWidth(null), 1.5)
  assert.ok(edgeWidth(10) < edgeWidth(1_000))
  assert.equal(edgeWidth(1e12), 6)
})

test('rates that are written cover neither boxes nor each other', () => {
  const { boxes, edges } = drawPipeline({ ...small, width: 1_200 })
  const labels = edges.flatMap(({ key, spot, isLabelled }) =>
    spot === undefined || !isLabelled
      ? []
      : [
          {
            id: key,
            left: spot.x - LABEL_WIDTH / 2,
            top: spot.y - LABEL_HEIGHT / 2,
            width: LABEL_WIDTH,
            height: LABEL_HEIGHT
          }
        ]
  )
  assert.ok(labels.length >= 7)
  for (const [index, a] of labels.entries()) {
    for (const b of [...boxes, ...labels.slice(index + 1)]) {
      const isApart =
        a.left >= b.left + b.width ||
        b.left >= a.left + a.width ||
        a.top >= b.top + b.height ||
        b.top >= a.top + a.height
      assert.ok(isApart, `${a.id} over ${b.id}`)
    }
  }
})

test('an arrow to a box that is not there is left out, and nothing at all can be drawn', () => {
  const stray = { from: orders.id, to: 'group:gone', rate: 1, health: 'good' } as const
  assert.deepEqual(drawPipeline({ nodes: [orders], edges: [stray], width: 800 }).edges, [])
  assert.deepEqual(drawPipeline({ nodes: [], edges: [], width: 800 }).boxes, [])
})

test('no path has a number that is none', () => {
  for (const width of [320, 800, 1_400]) {
    for (const { path } of drawPipeline({ ...small, width }).edges) assert.doesNotMatch(path, /NaN|undefined|Infinity/)
  }
})

test('a box says the two things that matter most of its kind, and nothing that is not known', () => {
  const facts = [
    { key: 'members', value: 3 },
    { key: 'lagRecords', value: '12' },
    { key: 'drainSeconds', value: 4 },
    { key: 'lagSeconds', value: null }
  ]
  assert.deepEqual(
    boxFacts('group', facts).map(({ key }) => key),
    ['members', 'lagRecords']
  )
})

test('a box leads to its page, whatever its name, and the one for the rest to the list', () => {
  assert.equal(nodePath('group', 'a/b?c'), '/groups/a%2Fb%3Fc')
  assert.equal(nodePath('deadLetters', 'x&y'), '/dead-letters?topic=x%26y')
  assert.equal(nodePath('topic', undefined), '/topics')
})
