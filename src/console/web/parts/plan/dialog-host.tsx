/** Dialogs that are opened by a call, from any page: each lives beside the page until it is closed. */

import { render, type VNode } from 'preact'

/** Shows what `draw` gives until it calls `close`. */
export function showDialog(draw: (close: () => void) => VNode): void {
  const root = document.createElement('div')
  document.body.append(root)
  const close = (): void => {
    render(null, root)
    root.remove()
  }
  render(draw(close), root)
}
