/** Where a box of the drawing leads to. */

import type { NodeKind } from '../../../api/overview.ts'
import { pathOf } from '../../base/route-match.ts'

const ofOne: Readonly<Record<NodeKind, string>> = {
  source: '/flow',
  producer: '/flow',
  topic: '/topics/:name',
  group: '/groups/:name',
  target: '/flow',
  retries: '/topics/:name',
  deadLetters: '/dead-letters?topic=:name'
}

const ofAll: Readonly<Record<NodeKind, string>> = {
  source: '/flow',
  producer: '/flow',
  topic: '/topics',
  group: '/groups',
  target: '/flow',
  retries: '/topics',
  deadLetters: '/dead-letters'
}

/** Path of the page of a node, or of the list of its kind. */
export function nodePath(kind: NodeKind, name: string | undefined): string {
  return name === undefined ? ofAll[kind] : pathOf(ofOne[kind], { name })
}
