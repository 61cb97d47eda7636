/** Words of the overview. */

import { defineWords } from '../base/word-forms.ts'

/** See the module. */
export const overviewWords = defineWords({
  en: {
    'overview.title': 'Overview'
  },
  pt: {
    'overview.title': 'Visão geral'
  }
})
