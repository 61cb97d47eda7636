/** Shapes that bytes are shown in. */

import type { RecordShape } from '../../../api/records.ts'
import { t } from '../../base/words.ts'

const SHAPES: readonly RecordShape[] = ['auto', 'json', 'text', 'hex', 'base64']

/** As choices of a field. */
export function shapeChoices(): readonly { readonly value: RecordShape; readonly text: string }[] {
  return SHAPES.map(value => ({ value, text: t(`records.shape.${value}`) }))
}

/** A shape by its name; `auto` for any other. */
export function shapeOf(text: string): RecordShape {
  return SHAPES.find(shape => shape === text) ?? 'auto'
}
