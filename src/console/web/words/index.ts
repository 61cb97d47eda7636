/** All words of the pages: one file per area, joined here. Keys begin with their area (`groups.title`). */

import type { Words } from '../base/word-forms.ts'
import { changesWords } from './changes.ts'
import { deadLettersWords } from './dead-letters.ts'
import { flowWords } from './flow.ts'
import { groupsWords } from './groups.ts'
import { insightWords } from './insight.ts'
import { loginWords } from './login.ts'
import { overviewWords } from './overview.ts'
import { pipelineWords } from './pipeline.ts'
import { recordsWords } from './records.ts'
import { shellWords } from './shell.ts'
import { topicsWords } from './topics.ts'

const en = {
  ...shellWords.en,
  ...loginWords.en,
  ...overviewWords.en,
  ...pipelineWords.en,
  ...flowWords.en,
  ...recordsWords.en,
  ...deadLettersWords.en,
  ...changesWords.en,
  ...insightWords.en,
  ...groupsWords.en,
  ...topicsWords.en
}
const pt: Readonly<Record<keyof typeof en, Words>> = {
  ...shellWords.pt,
  ...loginWords.pt,
  ...overviewWords.pt,
  ...pipelineWords.pt,
  ...flowWords.pt,
  ...recordsWords.pt,
  ...deadLettersWords.pt,
  ...changesWords.pt,
  ...insightWords.pt,
  ...groupsWords.pt,
  ...topicsWords.pt
}

/** Key of a text. */
export type WordKey = keyof typeof en

/** Words by language. */
export const allWords: Readonly<Record<'en' | 'pt', Readonly<Record<WordKey, Words>>>> = { en, pt }
