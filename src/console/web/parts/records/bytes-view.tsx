/** Keys, values and headers of records: on one line, or in full. */

import './records.css'

import type { VNode } from 'preact'

import type { ShownBytes } from '../../../api/records.ts'
import { bytes } from '../../base/format.ts'
import { t } from '../../base/words.ts'
import { Badge } from '../badge.tsx'
import { layOutJson, oneLine, visiblePieces } from './visible-text.ts'

/** Characters of a line of a table. */
const LINE_CHARS = 300

/** The beginning, on one line. */
export function BytesLine({ bytes: shown }: { readonly bytes: ShownBytes | null }): VNode {
  if (shown === null) return <span class="soft">{t('records.null')}</span>
  if (shown.shape === 'masked') return <span class="soft">{t('records.masked')}</span>
  if (shown.text === '') return <span class="soft">{t('records.emptyText')}</span>
  return (
    <span class="mono" dir="ltr">
      {oneLine(shown.text, LINE_CHARS)}
    </span>
  )
}

/** All of it, as far as the server sent it. */
export function BytesBlock({ bytes: shown }: { readonly bytes: ShownBytes | null }): VNode {
  if (shown === null) return <p class="soft">{t('records.null')}</p>
  if (shown.shape === 'masked') return <p class="soft">{t('records.masked.text')}</p>
  if (shown.text === '') return <p class="soft">{t('records.emptyText')}</p>
  const text = shown.shape === 'json' && !shown.isCut ? layOutJson(shown.text) : shown.text
  return (
    <div class="bytes">
      <pre class="bytes-text" dir="ltr" tabIndex={0}>
        {visiblePieces(text).map((piece, index) =>
          piece.isEscape ? (
            <span key={index} class="bytes-escape">
              {piece.text}
            </span>
          ) : (
            piece.text
          )
        )}
      </pre>
      {shown.isCut ? <p class="soft">{t('records.cut', { size: bytes(shown.byteLength) })}</p> : null}
    </div>
  )
}

/** In which shape it is, and how large. */
export function BytesFacts({ bytes: shown }: { readonly bytes: ShownBytes | null }): VNode | null {
  if (shown === null || shown.shape === 'masked') return null
  return (
    <>
      <Badge>{t(`records.shape.${shown.shape}`)}</Badge>
      <span class="soft">{bytes(shown.byteLength)}</span>
    </>
  )
}
