/** Fields of forms: each with its label, its help and what is wrong with it, tied together for screen readers. */

import './field.css'

import type { ComponentChildren, VNode } from 'preact'

import { useUniqueId } from '../base/unique-id.ts'

/** What all fields are given. */
export interface FieldFrame {
  readonly label: string
  readonly help?: string
  /** What is wrong with the value. */
  readonly problem?: string | undefined
  /** The label is read out, not shown: where the place says it. */
  readonly isLabelHidden?: boolean
  readonly isDisabled?: boolean
}

/** What a field for text is given. */
export interface FieldOptions extends FieldFrame {
  readonly value: string
  readonly onValue: (value: string) => void
  readonly type?: 'text' | 'password' | 'number' | 'search' | 'datetime-local' | 'range'
  readonly placeholder?: string
  readonly unit?: string
  readonly min?: number | string
  readonly max?: number | string
  readonly step?: number | string
  readonly isRequired?: boolean
  readonly isFirst?: boolean
  readonly isMono?: boolean
  readonly autoComplete?: string
  readonly listId?: string
  /** The field chooses from a list of its own, which is part of the page. */
  readonly combobox?: { readonly listId: string; readonly activeId: string | undefined }
}

function Frame(options: FieldFrame & { readonly id: string; readonly children: ComponentChildren }): VNode {
  return (
    <div class="field">
      <label class={options.isLabelHidden === true ? 'visually-hidden' : 'field-label'} for={options.id}>
        {options.label}
      </label>
      {options.children}
      {options.help === undefined ? null : (
        <p class="field-help" id={`${options.id}-help`}>
          {options.help}
        </p>
      )}
      {options.problem === undefined ? null : (
        <p class="field-problem" id={`${options.id}-problem`} role="alert">
          {options.problem}
        </p>
      )}
    </div>
  )
}

function comboboxOf(combobox: FieldOptions['combobox']): Readonly<Record<string, string>> {
  if (combobox === undefined) return {}
  const { listId, activeId } = combobox
  return {
    role: 'combobox',
    'aria-expanded': 'true',
    'aria-autocomplete': 'list',
    'aria-controls': listId,
    ...(activeId === undefined ? {} : { 'aria-activedescendant': activeId })
  }
}

function describedBy(id: string, options: FieldFrame): string | undefined {
  const parts = [
    options.help === undefined ? '' : `${id}-help`,
    options.problem === undefined ? '' : `${id}-problem`
  ].filter(part => part !== '')
  return parts.length === 0 ? undefined : parts.join(' ')
}

/** A field for a line of text or a number. */
export function Field(options: FieldOptions): VNode {
  const id = useUniqueId()
  return (
    <Frame {...options} id={id}>
      <span class="field-box">
        <input
          id={id}
          class={`input ${options.isMono === true ? 'mono' : ''}`}
          // The types tell kinds of input apart by roles that this one does not set.
          type={(options.type ?? 'text') as 'text'}
          value={options.value}
          placeholder={options.placeholder}
          min={options.min}
          max={options.max}
          step={options.step}
          list={options.listId}
          required={options.isRequired}
          disabled={options.isDisabled}
          autoFocus={options.isFirst}
          autocomplete={options.autoComplete ?? 'off'}
          spellcheck={false}
          {...comboboxOf(options.combobox)}
          aria-invalid={options.problem === undefined ? undefined : 'true'}
          aria-describedby={describedBy(id, options)}
          onInput={event => options.onValue(event.currentTarget.value)}
        />
        {options.unit === undefined ? null : <span class="field-unit">{options.unit}</span>}
      </span>
    </Frame>
  )
}

/** A choice of few. */
export function Select<T extends string>(
  options: FieldFrame & {
    readonly value: T
    readonly choices: readonly { readonly value: T; readonly text: string }[]
    readonly onValue: (value: T) => void
  }
): VNode {
  const id = useUniqueId()
  return (
    <Frame {...options} id={id}>
      <select
        id={id}
        class="input"
        value={options.value}
        disabled={options.isDisabled}
        aria-describedby={describedBy(id, options)}
        onChange={event => {
          const chosen = options.choices.find(choice => choice.value === event.currentTarget.value)
          if (chosen !== undefined) options.onValue(chosen.value)
        }}
      >
        {options.choices.map(choice => (
          <option key={choice.value} value={choice.value} selected={choice.value === options.value}>
            {choice.text}
          </option>
        ))}
      </select>
    </Frame>
  )
}

/** A yes or no. */
export function Check(options: {
  readonly label: ComponentChildren
  readonly isChecked: boolean
  readonly isDisabled?: boolean
  readonly onValue: (isChecked: boolean) => void
}): VNode {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={options.isChecked}
        disabled={options.isDisabled}
        onChange={event => options.onValue(event.currentTarget.checked)}
      />
      <span>{options.label}</span>
    </label>
  )
}
