/**
 * The words of one language as one file of their own: a reader loads the language that is read, and not both. The areas
 * keep both languages side by side in their source, where a missing text does not compile.
 */

import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import type { Plugin } from 'esbuild'

/** Gives `words/en.ts` and `words/pt.ts` nothing but their own language. */
export const oneLanguage: Plugin = {
  name: 'one language',
  setup(build) {
    build.onLoad({ filter: /[\\/]web[\\/]words[\\/](?:en|pt)\.ts$/ }, async ({ path }) => {
      const loaded: unknown = await import(pathToFileURL(join(dirname(path), 'index.ts')).href)
      return {
        contents: `export const words = ${JSON.stringify(wordsIn(loaded, basename(path, '.ts')))}`,
        loader: 'js'
      }
    })
  }
}

function wordsIn(loaded: unknown, language: string): object {
  const all = memberOf(loaded, 'allWords')
  const words = memberOf(all, language)
  if (typeof words !== 'object' || words === null) throw new TypeError(`words/index.ts has no words for ${language}`)
  return words
}

function memberOf(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}
