/** Buttons. */

import './button.css'

import type { ComponentChildren, VNode } from 'preact'

import { Icon, type IconName } from './icon.tsx'

/** What a button is given. `label` names one that shows only a sign. */
export interface ButtonOptions {
  readonly kind?: 'plain' | 'main' | 'danger' | 'quiet'
  readonly icon?: IconName
  readonly label?: string
  readonly title?: string
  readonly type?: 'button' | 'submit'
  readonly isDisabled?: boolean
  /** Shows that it works, and takes no second press. */
  readonly isBusy?: boolean
  readonly isPressed?: boolean
  readonly isExpanded?: boolean
  readonly hasMenu?: boolean
  readonly id?: string
  readonly class?: string
  readonly onPress?: (event: MouseEvent) => void
  readonly children?: ComponentChildren
}

/** A button. */
export function Button(options: ButtonOptions): VNode {
  const isStill = options.isDisabled === true || options.isBusy === true
  const isSign = options.children === undefined
  return (
    <button
      id={options.id}
      type={options.type ?? 'button'}
      class={`button button-${options.kind ?? 'plain'} ${isSign ? 'button-sign' : ''} ${options.class ?? ''}`}
      aria-label={options.label}
      title={options.title ?? (isSign ? options.label : undefined)}
      aria-disabled={isStill ? 'true' : undefined}
      aria-busy={options.isBusy === true ? 'true' : undefined}
      aria-pressed={options.isPressed}
      aria-expanded={options.isExpanded}
      aria-haspopup={options.hasMenu === true ? 'menu' : undefined}
      onClick={event => {
        if (isStill) event.preventDefault()
        else options.onPress?.(event)
      }}
    >
      {options.icon === undefined ? null : <Icon name={options.icon} />}
      {options.children}
    </button>
  )
}
