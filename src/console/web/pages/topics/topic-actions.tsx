/** What can be done with a topic; what changes it leads to a plan. */

import type { TopicRow } from '../../../api/topics.ts'
import { navigate } from '../../base/router.ts'
import { t } from '../../base/words.ts'
import type { MenuItem } from '../../parts/menu.tsx'
import { openGrowForm, openPlan } from '../../parts/plan/index.ts'
import { forOperators } from '../groups/group-actions.tsx'
import { recordsPath, topicPath } from '../groups/paths.ts'
import { openAlterForm } from './topic-forms.tsx'

/** The actions of a row in the table of topics. */
export function topicMenu(row: TopicRow): readonly MenuItem[] {
  return [
    { text: t('topics.action.open'), icon: 'right', onPress: () => navigate(topicPath(row.topic)) },
    ...recordsItems(row),
    ...topicChanges(row)
  ]
}

/** Where its records are read. */
export function recordsItems({ topic, role }: TopicRow): readonly MenuItem[] {
  const records: MenuItem = {
    text: t('topics.action.records'),
    icon: 'records',
    onPress: () => navigate(recordsPath(topic))
  }
  if (role !== 'deadLetters') return [records]
  const letters: MenuItem = {
    text: t('topics.action.deadLetters'),
    icon: 'deadLetters',
    onPress: () => navigate(`/dead-letters?${new URLSearchParams({ topic })}`)
  }
  return [records, letters]
}

/** The changes of a topic. */
export function topicChanges({ topic, partitionCount }: TopicRow): readonly MenuItem[] {
  return forOperators([
    { text: t('topics.action.grow'), icon: 'plus', onPress: () => openGrowForm(topic, partitionCount) },
    { text: t('topics.action.alter'), icon: 'edit', onPress: () => openAlterForm(topic) },
    {
      text: t('topics.action.delete'),
      icon: 'trash',
      isDanger: true,
      onPress: () => openPlan({ kind: 'topics.delete', topic })
    }
  ])
}
