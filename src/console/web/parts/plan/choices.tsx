/** One of some, each with a line on what it means. */

import type { VNode } from 'preact'

import { useUniqueId } from '../../base/unique-id.ts'

/** A choice. */
export interface Choice<T extends string> {
  readonly value: T
  readonly text: string
  readonly help?: string
}

/** See the module. */
export function Choices<T extends string>(options: {
  readonly label: string
  readonly value: T
  readonly choices: readonly Choice<T>[]
  readonly onValue: (value: T) => void
}): VNode {
  const id = useUniqueId()
  return (
    <fieldset class="form-choices">
      <legend>{options.label}</legend>
      {options.choices.map(({ value, text, help }) => (
        <label key={value} class="form-choice">
          <input type="radio" name={id} checked={value === options.value} onChange={() => options.onValue(value)} />
          <span>{text}</span>
          {help === undefined ? null : <small>{help}</small>}
        </label>
      ))}
    </fieldset>
  )
}
