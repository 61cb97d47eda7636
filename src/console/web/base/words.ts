/** The words of the pages in the reader's language. No component holds a text of its own. */

import { effect, signal } from '@preact/signals'

import { allWords, type WordKey } from '../words/index.ts'
import { remember, remembered } from './storage.ts'
import { fill, type Language, languageFor, type Values } from './word-forms.ts'

export type { WordKey } from '../words/index.ts'

/** The reader's language: what they chose, or the browser's. */
export const language = signal<Language>(
  languageFor([remembered('language') ?? '', ...(typeof navigator === 'undefined' ? [] : navigator.languages)])
)

/** Changes the language, now and for later visits. */
export function chooseLanguage(chosen: Language): void {
  language.value = chosen
  remember('language', chosen)
}

/** A text; components that show it follow the language. */
export function t(key: WordKey, values: Values = {}): string {
  return fill(allWords[language.value === 'pt-BR' ? 'pt' : 'en'][key], values, language.value)
}

/** Whether there are words for a key that came from the server. */
export function isWordKey(key: string): key is WordKey {
  return Object.hasOwn(allWords.en, key)
}

/** A text for a key that came from the server; one that is not known, from a newer server, is shown as it is. */
export function say(key: string, values: Values = {}): string {
  return isWordKey(key) ? t(key, values) : key
}

if (typeof document !== 'undefined') effect(() => document.documentElement.setAttribute('lang', language.value))
