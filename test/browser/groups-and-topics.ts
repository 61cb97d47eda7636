/** Groups and topics in a browser: found, sorted, downloaded, read by keyboard; topics made, altered and deleted. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

import type { Admin } from '../../src/client/index.ts'
import { applyPlan, closeDialog, type Deeds, type Desk } from './desk.ts'

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
  await applyPlan(page, 'topic')
  await closeDialog(page)
  assert.equal(await retentionOf(admin), '3600000')

  await go('/topics/made-by-hand?tab=settings')
  await page.locator('main').getByRole('button', { name: 'Change settings…' }).click()
  assert.equal(await dialog.getByLabel('Settings').inputValue(), 'retention.ms=3600000')
  await dialog.getByLabel('Settings').fill('retention.ms=7200000')
  await dialog.getByRole('button', { name: 'Show the plan' }).click()
  await applyPlan(page, 'topic')
  await closeDialog(page)
  assert.equal(await retentionOf(admin), '7200000')

  await page.getByRole('button', { name: 'Change made-by-hand' }).click()
  await page.getByRole('menuitem', { name: 'Delete the topic…' }).click()
  await applyPlan(page, 'topic')
  await closeDialog(page)
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

/** See the module. */
export const groupsAndTopics: Deeds = {
  'a view is in its address': keepsTheViewInItsAddress,
  'a table is downloaded': downloadsTheTable,
  'a row is opened without the mouse': opensARowByKeyboard,
  'the map is read without the mouse': readsTheMapByKeyboard,
  'members and histograms are there': seesMembersAndHistograms,
  'a topic is made, altered and deleted': makesAltersAndDeletesATopic
}
