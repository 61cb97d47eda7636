/** Imports between rooms: the table of `rooms.ts` holds, and nothing goes in circles. */

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { INNER_DOORS, PURE_ROOMS, ROOM_IMPORTS, SECOND_DOORS } from './rooms.ts'
import {
  type ImportEdge,
  importsOf,
  isGenerated,
  roomOf,
  root,
  textOf,
  typeScriptFiles,
  withoutComments
} from './source-tree.ts'

const files = typeScriptFiles(['src'], { isGeneratedIncluded: true })
const edges = files.flatMap(file => importsOf(file))

function describeEdge(edge: ImportEdge): string {
  return `${edge.from} imports ${edge.specifier}`
}

test('every folder of src is a room of the table', () => {
  assert.deepEqual(
    files.filter(file => ROOM_IMPORTS[roomOf(file) ?? ''] === undefined),
    []
  )
})

test('the table itself only points upwards', () => {
  const order = Object.keys(ROOM_IMPORTS)
  for (const [room, allowed] of Object.entries(ROOM_IMPORTS)) {
    for (const other of allowed) assert.ok(order.indexOf(other) < order.indexOf(room), `${room} imports ${other}`)
  }
})

test('a room imports only the rooms that the table allows, and only through their index.ts', () => {
  const violations = edges.filter(({ from, to }) => {
    if (to === undefined) return false
    const room = roomOf(from) ?? ''
    const other = roomOf(to)
    // The manifest holds the version, and the command starts itself again; both lie as far from `dist` as from `src`.
    if (other === room || (room === 'cli' && ['package.json', 'bin/comporta.js'].includes(to))) return false
    if (other === undefined || ROOM_IMPORTS[room]?.includes(other) !== true) return true
    return to !== `src/${other}/index.ts` && !INNER_DOORS.includes(to)
  })
  assert.deepEqual(violations.map(describeEdge), [])
})

test('pages of the console stay in the browser: they share types with the server, and nothing else', () => {
  const web = 'src/console/web/'
  const api = 'src/console/api/'
  const packages = /^(?:preact|@preact\/signals|uplot)(?:\/|$)/
  const violations = edges.filter(({ from, to, specifier }) => {
    if (from.startsWith(web))
      return !(to === undefined ? packages.test(specifier) : to.startsWith(web) || to.startsWith(api))
    if (from.startsWith(api)) return to?.startsWith(api) !== true
    return to?.startsWith(web) === true
  })
  assert.deepEqual(violations.map(describeEdge), [])
})

test('every relative import names a file that exists, with its extension', () => {
  const broken = edges.filter(({ to }) => to !== undefined && !(/\.\w+$/.test(to) && existsSync(join(root, to))))
  assert.deepEqual(broken.map(describeEdge), [])
})

test('the rooms without input and output use only modules of Node that have none', () => {
  const violations = edges.filter(({ from, to, specifier }) => {
    const allowed = PURE_ROOMS[roomOf(from) ?? '']
    if (allowed === undefined || to !== undefined) return false
    return specifier.startsWith('node:') && !allowed.includes(specifier)
  })
  assert.deepEqual(violations.map(describeEdge), [])
})

test('a door names what it lets through', () => {
  const others = Object.values(SECOND_DOORS).map(door => `src/${door}.ts`)
  const isDoor = (file: string): boolean => /^src\/[^/]+\/index\.ts$/.test(file) || others.includes(file)
  const doors = files.filter(file => isDoor(file) && !isGenerated(file))
  // Generated modules are many, and their generator decides what is in them.
  const open = doors.filter(file => /^export \*(?! from '\.\/generated\/)/m.test(withoutComments(textOf(file))))
  assert.deepEqual(open, [])
})

test('a command loads schema, client and operations only when it runs: every process pays for the rest', () => {
  const loaded = new Set(['src/cli/main.ts'])
  for (const file of loaded) {
    // An import of types alone is gone when the file runs; one in braces without `type` before them stays.
    const found = [...textOf(file).matchAll(/^(?:import|export) (?!type )[^;'()]*?from '([^']+)'/gm)].map(
      match => match[1]
    )
    for (const { to, specifier } of importsOf(file))
      if (to?.endsWith('.ts') && found.includes(specifier)) loaded.add(to)
  }
  assert.deepEqual(
    ['config', 'client', 'ops', 'protocol'].filter(room => loaded.has(`src/${room}/index.ts`)),
    []
  )
})

test('no import goes in a circle, type-only imports included', () => {
  const graph = new Map<string, string[]>(files.map(file => [file, []]))
  for (const { from, to } of edges) if (to !== undefined && graph.has(to)) graph.get(from)?.push(to)
  assert.equal(findCycle(graph)?.join('\n  -> '), undefined)
})

test('the search for circles finds one', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', []],
    ['d', ['b']]
  ])
  assert.deepEqual(findCycle(graph), ['b', 'd', 'b'])
})

/** The first circle of a graph, as the nodes on it with the first one repeated. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>()
  const path: string[] = []
  const visit = (node: string): string[] | undefined => {
    const start = path.indexOf(node)
    if (start !== -1) return [...path.slice(start), node]
    if (finished.has(node)) return undefined
    path.push(node)
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    finished.add(node)
    return undefined
  }
  for (const node of graph.keys()) {
    const cycle = visit(node)
    if (cycle !== undefined) return cycle
  }
  return undefined
}
