/** Every page of the console, on a live pipeline: it shows what there is, complains of nothing, and everybody can use it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Page } from 'playwright-core'

import { accessibilityProblems, openBrowser, openPage, picture } from './browser.ts'
import { eventOf, startLivePipeline } from './live-pipeline.ts'

/** How each page is looked at, beside English on a light desktop. */
const looks = [
  { name: 'dark-phone-pt', colorScheme: 'dark', locale: 'pt-BR', viewport: { width: 390, height: 844 } },
  { name: 'light-desktop-en', colorScheme: 'light', locale: 'en-US', viewport: { width: 1280, height: 900 } }
] as const

/** Pages that are not in the navigation. */
const further = ['/groups/mt-dispatcher', '/topics/mt-c400']

async function login(page: Page, consoleUrl: string): Promise<void> {
  await page.goto(consoleUrl)
  await page.getByRole('heading', { level: 1 }).waitFor()
  assert.doesNotMatch(page.url(), /token/, 'the token stays in the address')
}

/** Paths of the pages in the navigation. */
async function navigation(page: Page): Promise<string[]> {
  const links = await page.locator('nav a').all()
  const paths = await Promise.all(links.map(async link => (await link.getAttribute('href')) ?? ''))
  return [...new Set(paths.filter(path => path.startsWith('/')))]
}

/** Waits until nothing of the page is on its way any more. */
async function settled(page: Page): Promise<void> {
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.waitForSelector('main .skeleton', { state: 'detached' })
}

test('every page shows the live pipeline, in both languages and themes, with nothing to complain of', async t => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const pipeline = await startLivePipeline(t)
  await pipeline.post(Array.from({ length: 500 }, (_, index) => eventOf(index)))
  await pipeline.post([{ codigo: 401, truck_id: 'T-BAD' }])
  pipeline.keepPosting()
  for (const { name, ...look } of looks) {
    const { page, complaints } = await openPage(browser, pipeline.consoleUrl, look)
    await login(page, pipeline.consoleUrl)
    const paths = await navigation(page)
    assert.ok(paths.length >= 10, `pages in the navigation: ${paths.join(' ')}`)
    for (const path of [...paths, ...further]) {
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
})
