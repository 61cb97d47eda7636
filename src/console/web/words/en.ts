/** The words of one language: the build leaves the other one out. */

import type { Words } from '../base/word-forms.ts'
import { allWords, type WordKey } from './index.ts'

/** See the module. */
export const words: Readonly<Record<WordKey, Words>> = allWords.en
