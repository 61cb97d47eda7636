/** Every page of the console: it shows what there is, complains of nothing, and everybody can use it. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import type { Page } from 'playwright-core'

import { accessibilityProblems, openPage, picture } from './browser.ts'
import { type Desk, login, settled } from './desk.ts'

/** How each page is looked at: the opposite ends of what people have. */
const looks = [
  { name: 'dark-phone-pt', colorScheme: 'dark', locale: 'pt-BR', viewport: { width: 390, height: 844 } },
  { name: 'light-desktop-en', colorScheme: 'light', locale: 'en-US', viewport: { width: 1280, height: 900 } }
] as const

/** Of the first look, those whose layout depends on it most. */
const onPhones = /^\/(?:$|groups|topics|dead-letters|simulate)/

/** Pages that are not in the navigation. */
const further = ['/groups/mt-dispatcher', '/topics/mt-c400']

/** Paths of the pages in the navigation. */
async function navigation(page: Page): Promise<string[]> {
  const links = await page.locator('nav a').all()
  const paths = await Promise.all(links.map(async link => (await link.getAttribute('href')) ?? ''))
  return [...new Set(paths.filter(path => path.startsWith('/')))]
}

/** Looks at them all. */
export async function lookAtPages(t: TestContext, { browser, pipeline }: Desk): Promise<void> {
  for (const { name, ...look } of looks) {
    const { page, complaints } = await openPage(browser, pipeline.consoleUrl, look)
    await login(page, pipeline.consoleUrl)
    const paths = await navigation(page)
    assert.ok(paths.length >= 10, `pages in the navigation: ${paths.join(' ')}`)
    const chosen = [...paths, ...further].filter(path => name.startsWith('light') || onPhones.test(path))
    for (const path of chosen) {
      await t.test(`${path} as ${name}`, async () => {
        await page.goto(new URL(path, pipeline.consoleUrl).href)
        await settled(page)
        await picture(page, `${name}${path.replaceAll('/', '-')}`)
        assert.deepEqual(await accessibilityProblems(page), [])
        const isWide = await page.evaluate(
          'document.documentElement.scrollWidth > document.documentElement.clientWidth'
        )
        assert.equal(isWide, false, 'the page can be scrolled sideways')
        assert.deepEqual(complaints.splice(0), [])
      })
    }
    await page.context().close()
  }
}
