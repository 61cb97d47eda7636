/** Groups and topics in a browser: found, sorted, downloaded, read by keyboard; topics made, altered and deleted. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import type { Page } from 'playwright-core'

import { Admin, Cluster } from '../../src/client/index.ts'
import { openBrowser, openPage } from './browser.ts'
import { eventOf, startLivePipeline } from './live-pipeline.ts'

interface Desk {
  readonly page: Page
  readonly admin: Admin
  readonly go: (path: string) => Promise<void>
}

async function applyPlan(page: Page, word: string): Promise<void> {
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel(`Type ${word} to confirm`).fill(word)
  await dialog.getByRole('button', { name: 'Apply' }).click()
  // The first is the sign in the head of the dialog, which is always there.
  await dialog.getByRole('button', { name: 'Close', exact: true }).nth(1).waitFor({ timeout: 60_000 })
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
}

async function keepsTheViewInItsAddress({ page, go }: Desk): Promise<void> {
  await go('/groups?find=dispatcher&status=OK')
  assert.equal(await page.getByLabel('Find by name').inputValue(), 'dispatcher')
  assert.equal(await page.getByLabel('Status', { exact: true }).inputValue(), 'OK')
  await page.getByRole('columnheader', { name: 'Waiting' }).getByRole('button').click()
  await page.waitForURL(/sort=lagRecords/)
  await page.getByLabel('Find by name').fill('nobody-has-this-name')
  await page.getByText('No group matches').waitFor()
  await page.getByRole('button', { name: 'Show all' }).click()
  await page.getByRole('link', { name: 'mt-dispatcher' }).waitFor()
}

async function downloadsTheTable({ page, go }: Desk): Promise<void> {
  await go('/groups')
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download CSV' }).click()
  ])
  assert.equal(download.suggestedFilename(), 'groups.csv')
  const lines = readFileSync(await download.path(), 'utf8').split('\r\n')
  assert.match(lines[0] ?? '', /^groupId,status,/)
  assert.match(lines[1] ?? '', /^mt-dispatcher,/)
}

async function opensARowByKeyboard({ page, go }: Desk): Promise<void> {
  await go('/groups')
  await page.getByRole('link', { name: 'mt-dispatcher' }).waitFor()
  await page.getByRole('grid').focus()
  await page.keyboard.press('Home')
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/groups\/mt-dispatcher$/)
}

async function readsTheMapByKeyboard({ page, go }: Desk): Promise<void> {
  await go('/groups/mt-dispatcher?heat=owner')
  const cells = page.getByRole('listbox', { name: /^mt-c400, 12 partitions/ })
  await cells.focus()
  await page.keyboard.press('End')
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('Enter')
  const chosen = cells.getByRole('option', { selected: true })
  assert.match((await chosen.getAttribute('aria-label')) ?? '', /^mt-c400-10: .*read by /)
  await page
    .getByText(/^mt-c400-10$/)
    .first()
    .waitFor()
  assert.match((await chosen.getAttribute('data-mark')) ?? '', /^..$/)
}

async function seesMembersAndHistograms({ page, go }: Desk): Promise<void> {
  await go('/groups/mt-dispatcher')
  await page.getByRole('tab', { name: /^Members/ }).click()
  await page.waitForURL(/tab=members/)
  await page.getByRole('button', { name: /^Actions of member / }).waitFor()
  await page.getByRole('tab', { name: 'Batches and latency' }).click()
  await page.getByRole('img', { name: /^Records in a batch: .* counted/ }).waitFor({ timeout: 30_000 })
  await page.getByRole('tab', { name: 'Rebalances' }).click()
  await page.waitForURL(/tab=rebalances/)
}

async function makesAltersAndDeletesATopic({ page, go, admin }: Desk): Promise<void> {
  await go('/topics')
  await page.getByRole('button', { name: 'New topic…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name', { exact: true }).fill('not a name')
  await dialog.getByRole('button', { name: 'Show the plan' }).click()
  await dialog.getByText(/^A name has 1 to 249/).waitFor()
  await dialog.getByLabel('Name', { exact: true }).fill('made-by-hand')
  await dialog.getByLabel('Settings').fill('retention.ms=3600000')
  await dialog.getByRole('button', { name: 'Show the plan' }).click()
  await applyPlan(page, 'made-by-hand')
  assert.equal(await retentionOf(admin), '3600000')

  await go('/topics/made-by-hand?tab=settings')
  await page.locator('main').getByRole('button', { name: 'Change settings…' }).click()
  assert.equal(await dialog.getByLabel('Settings').inputValue(), 'retention.ms=3600000')
  await dialog.getByLabel('Settings').fill('retention.ms=7200000')
  await dialog.getByRole('button', { name: 'Show the plan' }).click()
  await applyPlan(page, 'made-by-hand')
  assert.equal(await retentionOf(admin), '7200000')

  await page.getByRole('button', { name: 'Change made-by-hand' }).click()
  await page.getByRole('menuitem', { name: 'Delete the topic…' }).click()
  await applyPlan(page, 'made-by-hand')
  const { topics } = await admin.listTopics()
  assert.equal(
    topics.some(({ topic }) => topic === 'made-by-hand'),
    false
  )
}

async function retentionOf(admin: Admin): Promise<string | null | undefined> {
  const [described] = await admin.describeConfigs([{ type: 'topic', name: 'made-by-hand' }])
  return described?.entries.find(({ name }) => name === 'retention.ms')?.value
}

test('groups and topics are found, read and changed in the browser', async t => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const pipeline = await startLivePipeline(t)
  await pipeline.post(Array.from({ length: 400 }, (_, index) => eventOf(index)))
  pipeline.keepPosting()
  const cluster = await Cluster.connect({ bootstrapServers: [pipeline.brokers], clientId: 'eyes' })
  t.after(() => cluster.close())
  const { page, complaints } = await openPage(browser, pipeline.consoleUrl)
  await page.goto(pipeline.consoleUrl)
  await page.getByRole('heading', { level: 1 }).waitFor()
  const go = async (path: string): Promise<void> => {
    await page.goto(new URL(path, pipeline.consoleUrl).href)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.waitForSelector('main .skeleton', { state: 'detached' })
  }
  const desk: Desk = { page, admin: new Admin(cluster), go }
  const deeds: Readonly<Record<string, (desk: Desk) => Promise<void>>> = {
    'a view is in its address': keepsTheViewInItsAddress,
    'a table is downloaded': downloadsTheTable,
    'a row is opened without the mouse': opensARowByKeyboard,
    'the map is read without the mouse': readsTheMapByKeyboard,
    'members and histograms are there': seesMembersAndHistograms,
    'a topic is made, altered and deleted': makesAltersAndDeletesATopic
  }
  for (const [name, act] of Object.entries(deeds)) {
    await t.test(name, async () => {
      await act(desk)
      assert.deepEqual(complaints.splice(0), [])
    })
  }
})
