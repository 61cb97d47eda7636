/** What an operator can do with a group: every action leads to a plan. Viewers see the actions with the reason. */

import { signal } from '@preact/signals'
import type { ComponentChildren, VNode } from 'preact'
import { useState } from 'preact/hooks'

import type { GroupRow, MemberRow, PartitionRow } from '../../../api/groups.ts'
import { navigate } from '../../base/router.ts'
import { canChange } from '../../base/session.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Field } from '../../parts/field.tsx'
import type { MenuItem } from '../../parts/menu.tsx'
import { groupPath, recordsPath } from './paths.ts'
import { openOffsetsForm, openPause, openPlan, openReplayForm } from '../../parts/plan/index.ts'

/** The actions of a row in the table of groups. */
export function groupMenu(row: GroupRow): readonly MenuItem[] {
  return [
    { text: t('groups.open'), icon: 'right', onPress: () => navigate(groupPath(row.groupId)) },
    ...groupChanges(row)
  ]
}

/** The changes of a group. */
export function groupChanges({ groupId, topics }: Pick<GroupRow, 'groupId' | 'topics'>): readonly MenuItem[] {
  return forOperators([
    { text: t('groups.action.reset'), icon: 'edit', onPress: () => openOffsetsForm(groupId, topics) },
    { text: t('groups.action.replay'), icon: 'retries', onPress: () => openReplayForm(groupId, topics) },
    { text: t('groups.action.copy'), icon: 'copy', onPress: () => (copying.value = { groupId, topics }) },
    {
      text: t('groups.action.delete'),
      icon: 'trash',
      isDanger: true,
      onPress: () => openPlan({ kind: 'groups.delete', group: groupId })
    }
  ])
}

/** The changes of a partition of a group. */
export function partitionMenu(groupId: string, row: PartitionRow): readonly MenuItem[] {
  const { topic, partition, committed, isPaused } = row
  const look: MenuItem = {
    text: t('groups.action.records'),
    icon: 'records',
    onPress: () => navigate(recordsPath(topic, partition, committed))
  }
  const changes: MenuItem[] = [
    {
      text: t('groups.action.place'),
      icon: 'edit',
      onPress: () => (placing.value = { groupId, topic, partition, offset: committed ?? '0' })
    },
    {
      text: t('groups.action.skip'),
      icon: 'right',
      isDisabled: committed === null,
      onPress: () =>
        openPlan({ kind: 'offsets.skip', group: groupId, topic, partition, offset: committed ?? '0', count: 1 })
    }
  ]
  if (isPaused !== null) {
    changes.push({
      text: t(isPaused ? 'groups.action.resume' : 'groups.action.pause'),
      icon: isPaused ? 'play' : 'pause',
      onPress: () => openPause(groupId, topic, partition, isPaused)
    })
  }
  return [look, ...forOperators(changes)]
}

/** The changes of a member. */
export function memberMenu(groupId: string, { memberId }: MemberRow): readonly MenuItem[] {
  return forOperators([
    {
      text: t('groups.action.removeMember'),
      icon: 'trash',
      isDanger: true,
      onPress: () => openPlan({ kind: 'groups.removeMembers', group: groupId, members: [memberId] })
    }
  ])
}

/** Items as they are for operators; without that role they say why they cannot be pressed. */
export function forOperators(items: readonly MenuItem[]): readonly MenuItem[] {
  if (canChange.value) return items
  return items.map(item => ({ ...item, isDisabled: true, text: withReason(item.text) }))
}

function withReason(text: ComponentChildren): VNode {
  return (
    <span title={t('groups.viewer')}>
      {text}
      <span class="visually-hidden"> {t('groups.viewer')}</span>
    </span>
  )
}

interface Copying {
  readonly groupId: string
  readonly topics: readonly string[]
}

interface Placing {
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

const copying = signal<Copying | undefined>(undefined)
const placing = signal<Placing | undefined>(undefined)

/** Questions that come before a plan: part of each page that offers these actions. */
export function GroupForms(): VNode | null {
  if (copying.value !== undefined) return <CopyForm {...copying.value} />
  return placing.value === undefined ? null : <PlaceForm {...placing.value} />
}

function CopyForm({ groupId, topics }: Copying): VNode {
  const [to, setTo] = useState('')
  const close = (): void => void (copying.value = undefined)
  const plan = (): void => {
    if (to.trim() === '' || to.trim() === groupId) return
    close()
    openPlan({ kind: 'offsets.copy', from: groupId, to: to.trim(), topics })
  }
  return (
    <QuestionDialog title={t('groups.copyTo', { group: groupId })} onClose={close} onPlan={plan}>
      <Field
        label={t('groups.copyTo.field')}
        help={t('groups.copyTo.help')}
        value={to}
        onValue={setTo}
        isMono
        isFirst
        isRequired
        problem={to.trim() === groupId ? t('groups.copyTo.same') : undefined}
      />
    </QuestionDialog>
  )
}

function PlaceForm({ groupId, topic, partition, offset }: Placing): VNode {
  const [at, setAt] = useState(offset)
  const isNumber = /^\d{1,19}$/.test(at)
  const close = (): void => void (placing.value = undefined)
  const plan = (): void => {
    if (!isNumber) return
    close()
    openPlan({ kind: 'offsets.place', group: groupId, places: [{ topic, partition, offset: at }] })
  }
  return (
    <QuestionDialog
      title={t('group.place', { name: `${topic}-${partition}`, group: groupId })}
      onClose={close}
      onPlan={plan}
    >
      <Field
        label={t('group.place.field')}
        help={t('group.place.help')}
        value={at}
        onValue={setAt}
        isMono
        isFirst
        isRequired
        problem={isNumber || at === '' ? undefined : t('group.place.wrong')}
      />
    </QuestionDialog>
  )
}

/** A question with one way on: to the plan. */
export function QuestionDialog(options: {
  readonly title: string
  readonly onClose: () => void
  readonly onPlan: () => void
  readonly isHeld?: boolean
  readonly children: ComponentChildren
}): VNode {
  return (
    <Dialog
      title={options.title}
      onClose={options.onClose}
      actions={
        <>
          <Button onPress={options.onClose}>{t('part.cancel')}</Button>
          <Button kind="main" onPress={options.onPlan}>
            {t('groups.plan')}
          </Button>
        </>
      }
    >
      <form
        class="stack"
        onSubmit={event => {
          event.preventDefault()
          options.onPlan()
        }}
      >
        {options.children}
      </form>
    </Dialog>
  )
}
