/**
 * The words of the pages in the reader's language. No component holds a text of its own. A language is loaded before
 * the first page is shown, and when it is chosen.
 */

import { effect, signal } from '@preact/signals'

import type { WordKey } from '../words/index.ts'
import { remember, remembered } from './storage.ts'
import { fill, type Language, languageFor, type Values, type Words } from './word-forms.ts'

export type { WordKey } from '../words/index.ts'

type AllWords = Readonly<Record<WordKey, Words>>

const loaded = new Map<Language, AllWords>()

/** The reader's language: what they chose, or the browser's. */
export const language = signal<Language>(
  languageFor([remembered('language') ?? '', ...(typeof navigator === 'undefined' ? [] : navigator.languages)])
)

/** Loads the words of the reader's language. */
export async function loadWords(): Promise<void> {
  await load(language.peek())
}

/** Changes the language, now and for later visits. Rejects if its words cannot be had: all stays as it is. */
export async function chooseLanguage(chosen: Language): Promise<void> {
  await load(chosen)
  language.value = chosen
  remember('language', chosen)
}

async function load(chosen: Language): Promise<void> {
  if (loaded.has(chosen)) return
  const { words } = chosen === 'pt-BR' ? await import('../words/pt.ts') : await import('../words/en.ts')
  loaded.set(chosen, words)
}

/** A text; components that show it follow the language. */
export function t(key: WordKey, values: Values = {}): string {
  // Without its words, as in a test of something else, a text is its key.
  return fill(loaded.get(language.value)?.[key] ?? key, values, language.value)
}

/** Whether there are words for a key that came from the server. */
export function isWordKey(key: string): key is WordKey {
  return Object.hasOwn(loaded.get(language.value) ?? {}, key)
}

/** A text for a key that came from the server; one that is not known, from a newer server, is shown as it is. */
export function say(key: string, values: Values = {}): string {
  return isWordKey(key) ? t(key, values) : key
}

if (typeof document !== 'undefined') effect(() => document.documentElement.setAttribute('lang', language.value))
