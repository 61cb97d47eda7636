/** Colours of the pages: every pair of text and ground that occurs meets WCAG AA, in both themes. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const css = readFileSync(join(import.meta.dirname, '../../src/console/web/tokens.css'), 'utf8')
const themes = { light: 0, dark: 1 } as const
type Theme = keyof typeof themes

const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);/g)].map(([, name = '', ...both]) => [
    name,
    both
  ])
)

function colour(name: string, theme: Theme): string {
  const found = tokens.get(name)?.[themes[theme]]
  assert.ok(found !== undefined, `--${name} is no colour`)
  return found
}

/** Relative luminance, WCAG 2.2. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map(at => {
    const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(a: string, b: string): number {
  const [least = 0, most = 0] = [luminance(a), luminance(b)].toSorted((x, y) => x - y)
  return (most + 0.05) / (least + 0.05)
}

function tooClose(pairs: readonly (readonly [string, string])[], least: number): string[] {
  return (['light', 'dark'] as const).flatMap(theme =>
    pairs.flatMap(([front, back]) => {
      const ratio = contrast(colour(front, theme), colour(back, theme))
      return ratio >= least ? [] : [`${theme}: --${front} on --${back}: ${ratio.toFixed(2)}`]
    })
  )
}

const grounds = ['ground', 'surface', 'raised', 'sunken', 'hover', 'selected']
const levels = ['good', 'warn', 'bad', 'unknown', 'idle']
const each = (fronts: readonly string[], backs: readonly string[]): (readonly [string, string])[] =>
  fronts.flatMap(front => backs.map(back => [front, back] as const))

test('the ratio is that of WCAG: black on white is 21, the grey #767676 just passes', () => {
  assert.equal(contrast('#000000', '#ffffff'), 21)
  assert.equal(contrast('#767676', '#ffffff').toFixed(2), '4.54')
})

test('text stands out from every ground by 4.5', () => {
  assert.deepEqual(tooClose(each(['text', 'text-soft', 'accent'], grounds), 4.5), [])
  assert.deepEqual(tooClose([['on-accent', 'accent']], 4.5), [])
})

test('words of health stand out from grounds and from the ground of their level, and text does from that, too', () => {
  assert.deepEqual(tooClose(each(levels, ['ground', 'surface', 'raised', 'sunken', 'hover']), 4.5), [])
  assert.deepEqual(
    tooClose(
      levels.flatMap(level => each([level, 'text', 'text-soft'], [`${level}-ground`])),
      4.5
    ),
    []
  )
})

test('lines, frames of controls and the focus stand out by 3', () => {
  const lines = ['series-1', 'series-2', 'series-3', 'series-4', 'series-5']
  assert.deepEqual(tooClose(each(lines, ['surface', 'raised']), 3), [])
  assert.deepEqual(tooClose(each(['line-strong', 'focus'], ['ground', 'surface', 'raised', 'sunken']), 3), [])
})
