/**
 * Ids that tie labels to their fields. Not Preact's own: those are unique within one tree, and a dialog that is opened
 * by a call is a tree of its own, whose labels would name fields of the page behind it.
 */

import { useState } from 'preact/hooks'

let last = 0

/** An id that no other element has; the same for the life of the component. */
export function useUniqueId(): string {
  return useState(() => `id-${++last}`)[0]
}
