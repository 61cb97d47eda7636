/** Where the reader is: the browser's own address, so that every view can be bookmarked and sent. */

import { computed, signal } from '@preact/signals'
import { type ComponentChildren, h, type VNode } from 'preact'

import { changedQuery, type Params, queryValues } from './route-match.ts'

/** An address within the console. */
export interface Place {
  readonly path: string
  /** With `?`, or empty. */
  readonly query: string
}

/** The page that an address leads to. */
export interface Route extends Place {
  /** Pattern of the page, for example `/groups/:id`; empty = no page. */
  readonly pattern: string
  readonly params: Params
}

/** Where the reader is now. */
export const place = signal<Place>(currentPlace())
/** How often the reader went to another page: scrolling follows it. */
export const visits = signal(0)

let isFocusDue = false

/** Whether the page that is now shown takes the focus: once after each way to another page, not on arrival. */
export function takeFocusTurn(): boolean {
  const isDue = isFocusDue
  isFocusDue = false
  return isDue
}

function countVisit(): void {
  visits.value++
  isFocusDue = true
}
/** Finds the page of an address; set by the application. */
export const findRoute = signal<(at: Place) => Route>(at => ({ ...at, pattern: '', params: {} }))

const route = computed(() => findRoute.value(place.value))

function currentPlace(): Place {
  // Also loaded where there is no browser: by tests of what is pure.
  if (typeof location === 'undefined') return { path: '/', query: '' }
  return { path: location.pathname, query: location.search }
}

/** The page that is shown, with the values in its address. */
export function useRoute(): Route {
  return route.value
}

/** Goes to a page: `path` may have a query. */
export function navigate(path: string, options: { isReplaced?: boolean } = {}): void {
  const before = place.peek().path
  if (options.isReplaced === true) history.replaceState(null, '', path)
  else if (path !== `${before}${place.peek().query}`) history.pushState(null, '', path)
  place.value = currentPlace()
  if (place.peek().path !== before) countVisit()
}

/** Follows the browser's own buttons. */
export function watchHistory(): void {
  window.addEventListener('popstate', () => {
    const before = place.peek().path
    place.value = currentPlace()
    if (place.peek().path !== before) countVisit()
  })
}

/** Values in the address' query, with defaults, and a way to change them without a new entry in the history. */
export function useQuery<T extends Params>(defaults: T): readonly [T, (change: Partial<T>) => void] {
  const { path, query } = place.value
  const set = (change: Partial<T>): void =>
    navigate(`${path}${changedQuery(place.peek().query, defaults, change)}`, { isReplaced: true })
  return [queryValues(query, defaults), set]
}

/** What a link is given. */
export interface LinkOptions {
  readonly to: string
  readonly class?: string
  readonly title?: string
  readonly label?: string
  readonly isCurrent?: boolean
  readonly onFollow?: () => void
  readonly children?: ComponentChildren
}

/** A link to a page of the console: a real one, so that it can be opened in another tab. */
export function Link(options: LinkOptions): VNode {
  return h(
    'a',
    {
      href: options.to,
      class: options.class,
      title: options.title,
      'aria-label': options.label,
      'aria-current': options.isCurrent === true ? 'page' : undefined,
      onClick: (event: MouseEvent) => {
        if (event.defaultPrevented || event.button !== 0) return
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
        event.preventDefault()
        options.onFollow?.()
        navigate(options.to)
      }
    },
    options.children
  )
}
