/** The sign of Comporta: a gate that lets the water through below it. */

import './brand.css'

import type { VNode } from 'preact'

/** See the module. */
export function Brand({ size }: { readonly size: number }): VNode {
  return (
    <svg class="brand" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect class="brand-ground" width="32" height="32" rx="7" />
      <path class="brand-posts" d="M8 6v20M24 6v20" />
      <path class="brand-gate" d="M12 8h8v8h-8z" />
      <path class="brand-water" d="M12 23q2-2.6 4 0t4 0" />
    </svg>
  )
}
