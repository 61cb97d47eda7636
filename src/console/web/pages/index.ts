/**
 * The pages of the console, in the order of the navigation. Each is loaded when it is first opened; its module exports
 * its component as `default`.
 */

import type { ComponentType } from 'preact'

import type { WordKey } from '../base/words.ts'
import type { IconName } from '../parts/icon.tsx'

/** A page. */
export interface PageEntry {
  /** For example `/groups/:id`; the values come by `useRoute().params`. */
  readonly path: string
  /** Title of the document, and in the navigation. */
  readonly title: WordKey
  /** Beside the title in the navigation; absent = the page is not in it. */
  readonly icon?: IconName
  /** Key that leads here after `g`. */
  readonly key?: string
  readonly load: () => Promise<{ readonly default: ComponentType }>
}

/** See the module. */
export const pages: readonly PageEntry[] = [
  { path: '/', title: 'overview.title', icon: 'overview', key: 'o', load: () => import('./overview/page.tsx') },
  { path: '/groups', title: 'groups.title', icon: 'groups', key: 'g', load: () => import('./groups/page.tsx') },
  { path: '/groups/:id', title: 'groups.title', load: () => import('./group/page.tsx') },
  { path: '/topics', title: 'topics.title', icon: 'topics', key: 't', load: () => import('./topics/page.tsx') },
  { path: '/topics/:name', title: 'topics.title', load: () => import('./topic/page.tsx') },
  { path: '/records', title: 'records.title', icon: 'records', key: 'r', load: () => import('./records/page.tsx') },
  {
    path: '/dead-letters',
    title: 'letters.title',
    icon: 'deadLetters',
    key: 'l',
    load: () => import('./dead-letters/page.tsx')
  },
  { path: '/changes', title: 'changes.title', icon: 'changes', key: 'h', load: () => import('./changes/page.tsx') },
  { path: '/flow', title: 'flow.title', icon: 'flow', key: 'f', load: () => import('./flow/page.tsx') },
  { path: '/doctor', title: 'doctor.title', icon: 'doctor', key: 'd', load: () => import('./doctor/page.tsx') },
  { path: '/simulate', title: 'simulate.title', icon: 'simulate', key: 's', load: () => import('./simulate/page.tsx') },
  { path: '/cost', title: 'cost.title', icon: 'cost', key: 'c', load: () => import('./cost/page.tsx') },
  { path: '/audit', title: 'audit.title', icon: 'audit', key: 'a', load: () => import('./audit/page.tsx') }
]
