/** An operator's desk: a browser that is logged in to the console of a live pipeline, and what hands do there. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import type { Browser, Locator, Page } from 'playwright-core'

import { Admin, Cluster } from '../../src/client/index.ts'
import { accessibilityProblems, openBrowser, openPage, picture } from './browser.ts'
import { eventOf, type LivePipeline, startLivePipeline } from './live-pipeline.ts'

/** See the module. */
export interface Desk {
  readonly browser: Browser
  readonly page: Page
  /** What the page complained of, oldest first. */
  readonly complaints: string[]
  readonly pipeline: LivePipeline
  readonly admin: Admin
  /** Goes to a page and waits until all of it is there. */
  readonly go: (path: string) => Promise<void>
}

/** Something done at the desk, by what it shows. */
export type Deeds = Readonly<Record<string, (desk: Desk) => Promise<void>>>

/** Opens it; `undefined` after skipping the test where there is no browser. */
export async function openDesk(t: TestContext): Promise<Desk | undefined> {
  const browser = await openBrowser(t)
  if (browser === undefined) return undefined
  const pipeline = await startLivePipeline(t)
  await pipeline.post(Array.from({ length: 400 }, (_, index) => eventOf(index)))
  await pipeline.post([{ codigo: 401, truck_id: 'T-BAD' }])
  pipeline.keepPosting()
  const cluster = await Cluster.connect({ bootstrapServers: [pipeline.brokers], clientId: 'hands' })
  t.after(() => cluster.close())
  const { page, complaints } = await openPage(browser, pipeline.consoleUrl)
  await login(page, pipeline.consoleUrl)
  const go = async (path: string): Promise<void> => {
    await page.goto(new URL(path, pipeline.consoleUrl).href)
    await settled(page)
  }
  return { browser, page, complaints, pipeline, admin: new Admin(cluster), go }
}

/** Follows the printed address: the token is exchanged, and does not stay in the address. */
export async function login(page: Page, consoleUrl: string): Promise<void> {
  await page.goto(consoleUrl)
  await page.getByRole('heading', { level: 1 }).waitFor()
  assert.doesNotMatch(page.url(), /token/, 'the token stays in the address')
}

/** Waits until nothing of the page is on its way any more. */
export async function settled(page: Page): Promise<void> {
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.waitForSelector('main .skeleton', { state: 'detached' })
}

/** Does them one after the other, each a test of its own. */
export async function doAll(t: TestContext, desk: Desk, deeds: Deeds): Promise<void> {
  for (const [name, act] of Object.entries(deeds)) {
    await t.test(name, async () => {
      try {
        await act(desk)
      } catch (error) {
        await picture(desk.page, `failed-${name.replaceAll(/\W+/g, '-')}`)
        throw error
      }
      assert.deepEqual(desk.complaints.splice(0), [])
    })
  }
}

/** Chooses an entry of a menu. */
export async function choose(page: Page, menu: Locator, entry: string | RegExp): Promise<void> {
  await menu.click()
  await page.getByRole('menuitem', { name: entry }).click()
}

/** Reads the plan, types its word, applies, and waits for what became of it. */
export async function applyPlan(page: Page, name: string): Promise<string> {
  const dialog = page.getByRole('dialog')
  const form = dialog.locator('form')
  const word = form.getByRole('textbox')
  await word.waitFor()
  await picture(page, `plan-${name}`)
  const apply = dialog.getByRole('button', { name: 'Apply' })
  assert.equal(await apply.getAttribute('aria-disabled'), 'true', 'it can be applied before the word is typed')
  const label = (await form.locator('label').first().textContent()) ?? ''
  await word.fill(/Type (.+) to confirm/.exec(label)?.[1] ?? '')
  await apply.click()
  await dialog.locator('button', { hasText: /^Close$/ }).waitFor({ timeout: 60_000 })
  assert.deepEqual(await accessibilityProblems(page), [])
  await picture(page, `done-${name}`)
  return (await dialog.textContent()) ?? ''
}

/** Closes the dialog. */
export async function closeDialog(page: Page): Promise<void> {
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
}

/** Takes back what the dialog has just shown as done. */
export async function undoFromDialog(page: Page, name: string): Promise<void> {
  await page.getByRole('dialog').getByRole('button', { name: 'Undo' }).click()
  await applyPlan(page, `undo-${name}`)
  await closeDialog(page)
}
