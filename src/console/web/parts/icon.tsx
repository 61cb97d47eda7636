/** Signs, drawn with one stroke width on a grid of 20: for the eye only, words stand beside them. */

import './icon.css'

import type { VNode } from 'preact'

const paths = {
  overview: 'M3 3h6v6H3zM11 3h6v4h-6zM11 9h6v8h-6zM3 11h6v6H3z',
  groups:
    'M7 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M2.5 16c0-6 9-6 9 0M13 4.3a2.5 2.5 0 0 1 0 4.5M15 12c1.5.6 2.5 2 2.5 4',
  topics: 'M3 5h14M3 10h14M3 15h14M6 3.5v3M12 8.5v3M8.5 13.5v3',
  records: 'M4 3h9l3 3v11H4zM7 8h6M7 11h6M7 14h4',
  deadLetters: 'M3 5h14v10H3zM3 5.5l7 5 7-5M6.5 17.5l7-14',
  changes: 'M4 7h10l-3-3M16 13H6l3 3',
  flow: 'M3 10h4l2-5 3 10 2-5h3',
  simulate: 'M3 6h7M14 6h3M3 14h3M10 14h7M12 4v4M8 12v4',
  cost: 'M10 3v14M13.5 6.5c-1.5-2.8-6.9-2.3-6.9.8 0 3.6 7.1 1.6 7.1 5.3 0 3.2-5.8 3.7-7.5.7',
  doctor: 'M10 4v12M4 10h12',
  audit: 'M5 3h10v14H5zM8 7h4M8 10h4M8 13h2',
  search: 'M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11M13 13l4 4',
  menu: 'M3 5.5h14M3 10h14M3 14.5h14',
  close: 'M5 5l10 10M15 5L5 15',
  user: 'M10 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6M4 17c0-3.3 2.6-5 6-5s6 1.7 6 5',
  keyboard: 'M2.5 5h15v10h-15zM5.5 8h.1M8.5 8h.1M11.5 8h.1M14.5 8h.1M6.5 12h7',
  down: 'M5 8l5 5 5-5',
  right: 'M8 5l5 5-5 5',
  left: 'M12 5l-5 5 5 5',
  sortUp: 'M10 15V5M6 9l4-4 4 4',
  sortDown: 'M10 5v10M6 11l4 4 4-4',
  rising: 'M4 14L15 6M9.5 5.5H15.5V11.5',
  falling: 'M4 6l11 8M9.5 14.5h6v-6',
  steady: 'M3.5 10h13M12.5 6l4 4-4 4',
  play: 'M6.5 4.5v11l9-5.5z',
  pause: 'M7 4.5v11M13 4.5v11',
  undo: 'M7 5L3.5 8.5 7 12M4 8.5h8a4 4 0 0 1 0 8H8',
  refresh: 'M16 7a6.5 6.5 0 1 0 .5 4.5M16.5 3.5V7.5h-4',
  download: 'M10 3v10M6 9.5l4 4 4-4M4 17h12',
  copy: 'M7 7h9v9H7zM4 13V4h9',
  filter: 'M3 4h14l-5.5 6.5V16l-3 1.5v-7z',
  edit: 'M4 16l1-4 8.5-8.5 3 3L8 15z',
  plus: 'M10 4v12M4 10h12',
  trash: 'M4 6h12M8 6V4h4v2M6 6l.7 11h6.6L14 6',
  clock: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14M10 6v4l3 2',
  away: 'M3 8.5a10 10 0 0 1 14 0M6 11.5a6 6 0 0 1 8 0M10 15h.1M4 3l12 14',
  target: 'M10 16.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13M10 12.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5',
  source: 'M4 4h6v12H4M10 10h7M14 7l3 3-3 3',
  producer: 'M3 16V8l5 3V8l5 3V4h4v12z',
  retries: 'M5 8a5.5 5.5 0 1 1-.5 4.5M4.5 4.5V8.5h4'
} as const

/** Name of a sign. */
export type IconName = keyof typeof paths

/** A sign. */
export function Icon(options: { readonly name: IconName; readonly size?: number }): VNode {
  const size = options.size ?? 18
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[options.name]} />
    </svg>
  )
}
