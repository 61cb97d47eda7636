/** A picture that is being made: boxes and arrows, each box once. */

import type { HealthLevel } from '../../api/common.ts'
import type { Fact, NodeKind, PipelineEdge, PipelineNode, Reason } from '../../api/overview.ts'
import { shortNumber } from '../numbers.ts'

/** What is drawn of a box. */
export interface NodeDraft {
  readonly kind: NodeKind
  /** Unique among its kind. */
  readonly name: string
  readonly id?: string
  readonly health: HealthLevel
  readonly reasons?: readonly Reason[]
  readonly facts?: readonly Fact[]
}

/** See the module. */
export class Picture {
  readonly #nodes = new Map<string, PipelineNode>()
  readonly #edges = new Map<string, PipelineEdge>()

  get nodes(): readonly PipelineNode[] {
    return [...this.#nodes.values()]
  }

  get edges(): readonly PipelineEdge[] {
    return [...this.#edges.values()]
  }

  has(id: string): boolean {
    return this.#nodes.has(id)
  }

  /** Draws a box, or leaves the one that is there. @returns Its id. */
  node({ kind, name, health, reasons = [], facts = [], id = `${kind}:${name}` }: NodeDraft): string {
    if (!this.#nodes.has(id)) this.#nodes.set(id, { id, kind, name, health, reasons, facts })
    return id
  }

  /** Draws an arrow; its health is that of what it leads to. A second one between the same boxes is left out. */
  edge(from: string, to: string, rate: number | undefined): void {
    const key = `${from}\n${to}`
    if (this.#edges.has(key) || !this.#nodes.has(from)) return
    const health = this.#nodes.get(to)?.health ?? 'unknown'
    this.#edges.set(key, { from, to, rate: shortNumber(rate), health })
  }
}

/** A fact that is a number. */
export function fact(key: Fact['key'], value: number | string | undefined | null): Fact {
  return { key, value: typeof value === 'string' ? value : shortNumber(value) }
}
