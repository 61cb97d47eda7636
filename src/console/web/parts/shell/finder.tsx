/**
 * Quick find: a few letters lead to a page, a group or a topic. The field keeps the focus; the arrows move through what
 * was found, Enter goes there.
 */

import './finder.css'

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect } from 'preact/hooks'

import type { Page } from '../../../api/common.ts'
import type { GroupRow } from '../../../api/groups.ts'
import type { TopicRow } from '../../../api/topics.ts'
import { getJson } from '../../base/api.ts'
import { bestMatches } from '../../base/find-matches.ts'
import { useShortcut } from '../../base/keys.ts'
import { navigate } from '../../base/router.ts'
import { useUniqueId } from '../../base/unique-id.ts'
import { t } from '../../base/words.ts'
import { pages } from '../../pages/index.ts'
import { Dialog } from '../dialog.tsx'
import { Field } from '../field.tsx'
import { Icon, type IconName } from '../icon.tsx'

/** Groups and topics shown at most, each. */
const FOUND_MAX = 8

interface Found {
  readonly path: string
  readonly name: string
  readonly kind: 'page' | 'group' | 'topic'
  readonly icon: IconName
}

/** The button in the header, and the dialog. */
export function Finder(): VNode {
  const isOpen = useSignal(false)
  const open = (): void => {
    isOpen.value = true
  }
  useShortcut({ keys: 'mod+k', title: 'shell.keys.find', run: open })
  useShortcut({ keys: '/', title: 'shell.keys.find', run: open })
  return (
    <>
      <button type="button" class="button shell-find" title={t('shell.keys.find')} onClick={open}>
        <Icon name="search" size={16} />
        <span>{t('shell.find')}</span>
        <kbd aria-hidden="true">{modKey()} K</kbd>
      </button>
      {isOpen.value ? <FindDialog onClose={() => (isOpen.value = false)} /> : null}
    </>
  )
}

/** The key that goes with letters for commands, by its name on this computer. */
export function modKey(): string {
  return /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl'
}

function FindDialog({ onClose }: { readonly onClose: () => void }): VNode {
  const id = useUniqueId()
  const typed = useSignal('')
  const active = useSignal(0)
  const found = [...foundPages(typed.value), ...useNames(typed.value)]
  const at = Math.min(active.value, found.length - 1)
  const go = (one: Found | undefined): void => {
    if (one === undefined) return
    onClose()
    // The dialog gives the focus back first; the page that comes takes it then.
    setTimeout(() => navigate(one.path), 0)
  }
  const onKey = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step !== 0) {
      event.preventDefault()
      active.value = (at + step + found.length) % Math.max(1, found.length)
      document.getElementById(`${id}-${active.value}`)?.scrollIntoView({ block: 'nearest' })
    }
    if (event.key === 'Enter') go(found[at])
  }
  return (
    <Dialog title={t('shell.find.title')} onClose={onClose}>
      <div class="finder" onKeyDown={onKey}>
        <Field
          label={t('shell.find.placeholder')}
          isLabelHidden
          isFirst
          placeholder={t('shell.find.placeholder')}
          value={typed.value}
          onValue={value => {
            typed.value = value
            active.value = 0
          }}
          combobox={{ listId: `${id}-list`, activeId: found.length === 0 ? undefined : `${id}-${at}` }}
        />
        <p class="visually-hidden" role="status">
          {t('shell.find.results', { count: found.length })}
        </p>
        {found.length === 0 ? <p class="soft">{t('shell.find.none')}</p> : null}
        <ul class="finder-list" id={`${id}-list`} role="listbox" aria-label={t('shell.find.title')}>
          {found.map((one, index) => (
            <li
              key={one.path}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === at}
              onPointerMove={() => (active.value = index)}
              onClick={() => go(one)}
            >
              <Icon name={one.icon} />
              <span class="cut">{one.name}</span>
              <span class="finder-kind">{t(`shell.find.${one.kind}`)}</span>
            </li>
          ))}
        </ul>
      </div>
    </Dialog>
  )
}

function foundPages(typed: string): Found[] {
  const all = pages.flatMap(({ path, title, icon }) =>
    icon === undefined ? [] : [{ path, name: t(title), kind: 'page' as const, icon }]
  )
  return bestMatches(all, ({ name }) => name, typed)
}

/** Groups and topics whose name has the letters; asked for once the hand rests. */
function useNames(typed: string): readonly Found[] {
  const found = useSignal<readonly Found[]>([])
  useEffect(() => {
    const abort = new AbortController()
    const find = typed.trim()
    const timer = setTimeout(() => {
      if (find === '') found.value = []
      else void namesOf(find, abort.signal).then(names => (found.value = names), ignore)
    }, 120)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [typed])
  return found.value
}

async function namesOf(find: string, signal: AbortSignal): Promise<Found[]> {
  const query = `?limit=${FOUND_MAX}&find=${encodeURIComponent(find)}`
  const [groups, topics] = await Promise.all([
    getJson<Page<GroupRow>>(`/api/groups${query}`, signal).catch(() => undefined),
    getJson<Page<TopicRow>>(`/api/topics${query}`, signal).catch(() => undefined)
  ])
  const names: Found[] = [
    ...(groups?.rows ?? []).map(({ groupId }) => found('group', groupId)),
    ...(topics?.rows ?? []).map(({ topic }) => found('topic', topic))
  ]
  return bestMatches(names, ({ name }) => name, find)
}

function found(kind: 'group' | 'topic', name: string): Found {
  return { path: `/${kind}s/${encodeURIComponent(name)}`, name, kind, icon: kind === 'group' ? 'groups' : 'topics' }
}

/** A search that was given up. */
function ignore(): void {
  // The next letters ask anew.
}
