/** What an operator changes in the console by hand: planned, typed, applied, taken back. */

import assert from 'node:assert/strict'

import type { Admin } from '../../src/client/index.ts'
import { picture } from './browser.ts'
import { applyPlan, choose, closeDialog, type Deeds, type Desk, undoFromDialog } from './desk.ts'

async function committedOf(admin: Admin, group: string): Promise<Record<string, bigint>> {
  const offsets = await admin.fetchGroupOffsets(group)
  return Object.fromEntries(offsets.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
}

async function pausesAPartition({ page, go }: Desk): Promise<void> {
  await go('/groups/mt-dispatcher')
  const menu = page.getByRole('button', { name: 'Actions of mt-c400-0' })
  await choose(page, menu, 'Pause…')
  await applyPlan(page, 'pause')
  await closeDialog(page)
  await go('/flow')
  await page.getByText('mt-c400-0', { exact: true }).waitFor()
  await go('/groups/mt-dispatcher')
  await choose(page, menu, 'Resume…')
  await applyPlan(page, 'resume')
  await closeDialog(page)
}

async function movesOffsets({ page, go, admin }: Desk): Promise<void> {
  await admin.alterGroupOffsets('night-report', [
    { topic: 'mt-c400', partition: 0, offset: 3n },
    { topic: 'mt-c400', partition: 1, offset: 2n }
  ])
  const before = await committedOf(admin, 'night-report')
  await go('/groups/night-report')
  await choose(page, page.getByRole('button', { name: 'Change night-report' }), 'Reset offsets…')
  await page.getByRole('dialog').getByLabel('The oldest record').check()
  await page.getByRole('dialog').getByRole('button', { name: 'Show the plan' }).click()
  await applyPlan(page, 'offsets')
  const moved = Object.values(await committedOf(admin, 'night-report'))
  assert.deepEqual(
    moved,
    Array.from({ length: 12 }, () => 0n)
  )
  await undoFromDialog(page, 'offsets')
  assert.deepEqual(await committedOf(admin, 'night-report'), before)
}

async function isRefusedWhileTheGroupWorks({ page, go }: Desk): Promise<void> {
  await go('/groups/mt-dispatcher')
  await choose(page, page.getByRole('button', { name: 'Change mt-dispatcher' }), 'Reset offsets…')
  await page.getByRole('dialog').getByRole('button', { name: 'Show the plan' }).click()
  await page.getByRole('dialog').getByText('In the way').waitFor()
  assert.equal(await page.getByRole('dialog').getByRole('button', { name: 'Apply' }).count(), 0)
  await closeDialog(page)
}

async function redrivesADeadLetter({ page, go, pipeline }: Desk): Promise<void> {
  await pipeline.post([{ codigo: 401, truck_id: 'T-BAD' }])
  await go('/dead-letters')
  const refresh = page.getByRole('button', { name: 'Refresh' })
  while ((await page.getByText('the truck is not known').count()) === 0) {
    await refresh.click()
    await page.waitForTimeout(200)
  }
  await page.getByRole('checkbox').first().check()
  await page.getByRole('button', { name: 'Redrive the chosen one' }).click()
  const show = page.getByRole('dialog').getByRole('button', { name: 'Show the plan' })
  if (await show.isVisible()) await show.click()
  const said = await applyPlan(page, 'redrive')
  assert.match(said, /1/)
  await closeDialog(page)
}

async function growsATopic({ page, go, admin }: Desk): Promise<void> {
  await admin.createTopics([{ topic: 'small', partitionCount: 2, replicationFactor: 1 }])
  await go('/topics/small')
  await choose(page, page.getByRole('button', { name: 'Change small' }), 'Add partitions…')
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Partitions afterwards').fill('4')
  await dialog.getByLabel(/^Reason to grow/).fill('rehearsal')
  await dialog.getByRole('button', { name: 'Show the plan' }).click()
  await applyPlan(page, 'grow')
  const { topics } = await admin.describeTopics(['small'])
  assert.equal(topics[0]?.partitions.length, 4)
  await closeDialog(page)
}

async function replays({ page, go }: Desk): Promise<void> {
  await go('/groups/mt-dispatcher')
  await choose(page, page.getByRole('button', { name: 'Change mt-dispatcher' }), 'Replay…')
  await page.getByRole('dialog').getByRole('button', { name: 'Show the plan' }).click()
  await applyPlan(page, 'replay')
  await closeDialog(page)
}

async function findsRecords({ page, go }: Desk): Promise<void> {
  await go('/records?topic=mt-c400')
  await page.getByLabel('Search', { exact: true }).fill('T-BAD')
  await page.getByRole('button', { name: 'Search', exact: true }).click()
  await page.getByText('T-BAD').first().waitFor()
  await picture(page, 'records-found')
  await go('/records?topic=mt-c400')
  await page.getByRole('button', { name: 'Live' }).click()
  await page.locator('[role="grid"] [role="row"] >> nth=3').waitFor()
  await picture(page, 'records-live')
}

async function listsWhatWasDone({ page, go }: Desk): Promise<void> {
  await go('/changes')
  await page.getByText('Taken back').first().waitFor()
  await go('/audit')
  await page.getByText('change.apply').first().waitFor()
}

async function simulates({ page, go }: Desk): Promise<void> {
  await go('/simulate')
  const peak = page.locator('.simulate-figures dd').nth(2)
  const before = await peak.textContent()
  await page.getByLabel('Records per second', { exact: true }).focus()
  for (let press = 0; press < 20; press++) await page.keyboard.press('ArrowRight')
  while ((await peak.textContent()) === before) await page.waitForTimeout(50)
}

async function isUsedByKeyboard({ page, go }: Desk): Promise<void> {
  await go('/')
  await page.keyboard.press('Control+k')
  await page.getByRole('dialog').getByRole('combobox').waitFor()
  await page.keyboard.type('mt-dispatcher')
  await page.getByRole('option', { name: /^mt-dispatcher\s*Group$/, selected: true }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'mt-dispatcher' }).waitFor()
}

/** In the order in which they build on each other. */
export const changes: Deeds = {
  'pauses and resumes a partition': pausesAPartition,
  'moves offsets of a group, and back': movesOffsets,
  'is told why offsets of a working group stay': isRefusedWhileTheGroupWorks,
  'sends a dead letter again': redrivesADeadLetter,
  'grows a topic': growsATopic,
  'replays a group': replays,
  'finds records, and watches them come': findsRecords,
  'sees what was done': listsWhatWasDone,
  'asks what would happen': simulates,
  'goes to a group without the mouse': isUsedByKeyboard
}
