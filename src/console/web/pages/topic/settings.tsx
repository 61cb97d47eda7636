/** The settings of a topic, and where each comes from. */

import type { VNode } from 'preact'

import type { TopicDetail } from '../../../api/topics.ts'
import { canChange } from '../../base/session.ts'
import { say, t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { Empty } from '../../parts/feedback.tsx'
import { PlainTable } from '../../parts/plain-table.tsx'
import { openAlterForm } from '../topics/topic-forms.tsx'

/** See the module. */
export function TopicSettings(options: { readonly topic: string; readonly settings: TopicDetail['settings'] }): VNode {
  const { topic, settings } = options
  const isAllowed = canChange.value
  const own = settings.filter(({ source }) => source === 'topic')
  return (
    <div class="group-tab">
      {settings.length === 0 ? (
        <Empty title={t('topic.settings.none')} icon="topics">
          {t('topic.settings.noneText')}
        </Empty>
      ) : (
        <PlainTable
          label={t('topic.tab.settings')}
          columns={[
            { title: t('topic.settings.name'), cell: ({ name }) => <span class="mono">{name}</span> },
            { title: t('topic.settings.value'), cell: ({ value }) => <span class="mono">{value}</span> },
            { title: t('topic.settings.source'), cell: ({ source }) => sourceText(source) }
          ]}
          rows={settings}
          rowKey={({ name }) => name}
        />
      )}
      <div>
        <Button
          icon="edit"
          isDisabled={!isAllowed}
          {...(isAllowed ? {} : { title: t('groups.viewer') })}
          onPress={() => openAlterForm(topic, own.map(({ name, value }) => `${name}=${value}`).join('\n'))}
        >
          {t('topics.action.alter')}
        </Button>
      </div>
    </div>
  )
}

function sourceText(source: string): string {
  const key = `topic.source.${source}`
  const text = say(key)
  return text === key ? source : text
}
