/**
 * A cluster of the size at which other consoles freeze: pages stay small, answer soon, and follow the wheel.
 *
 * Takes long: `BROWSER_SCALE=long` (npm run test:browser:long) runs it, with 10,000 topics and 2,000 groups.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Page } from 'playwright-core'

import { startComporta, temporaryFolder } from '../support/comporta.ts'
import { startManyGroups } from '../support/many-groups.ts'
import { openBrowser, openPage, picture } from './browser.ts'

const skip = process.env['BROWSER_SCALE'] === 'long' ? false : 'takes long: BROWSER_SCALE=long runs it'
const size = { topicCount: 10_000, groupCount: 2000 }

interface Frames {
  /** Longest time between two frames, in milliseconds, and their number. */
  readonly longestMs: number
  readonly frames: number
}

/** Turns the wheel over the table for two seconds, and measures the frames meanwhile. */
async function scrolled(page: Page): Promise<Frames> {
  await page.locator('[role="grid"]').hover()
  const measured = page.evaluate(`new Promise(resolve => {
    const started = performance.now()
    let last = started, longestMs = 0, frames = 0
    const frame = now => {
      longestMs = Math.max(longestMs, now - last); last = now; frames++
      if (now - started < 2000) requestAnimationFrame(frame); else resolve({ longestMs, frames })
    }
    requestAnimationFrame(frame)
  })`)
  for (let turn = 0; turn < 40; turn++) {
    await page.mouse.wheel(0, turn % 8 === 7 ? -4000 : 900)
    await page.waitForTimeout(30)
  }
  // As the script above resolves.
  return (await measured) as Frames
}

test('lists of thousands are asked for by the page, drawn by the row, and scroll without a halt', { skip }, async t => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const cluster = await startManyGroups(size)
  t.after(() => cluster.close())
  const args = ['console', '--brokers', cluster.bootstrapServers, '--port', '0']
  const console = await startComporta(t, args, { cwd: temporaryFolder(t), until: /#token=\S+/ })
  const home = /http:\/\/127\.0\.0\.1:\d+\/#token=\S+/.exec(console.output())?.[0] ?? ''
  const { page, complaints } = await openPage(browser, home)
  let received = 0
  page.on('response', response => {
    void response.body().then(
      body => (received += body.length),
      () => undefined // a stream has no body yet
    )
  })
  await page.goto(home)
  await page.getByRole('heading', { level: 1 }).waitFor()
  for (const [path, count] of [
    ['/groups', size.groupCount],
    ['/topics', size.topicCount]
  ] as const) {
    const started = performance.now()
    await page.goto(new URL(path, home).href)
    await page.locator(`[role="grid"][aria-rowcount="${count + 1}"] [role="row"] >> nth=5`).waitFor()
    const shownMs = performance.now() - started
    const { longestMs, frames } = await scrolled(page)
    const elements = Number(await page.evaluate('document.querySelectorAll("*").length'))
    await picture(page, `many${path.replaceAll('/', '-')}`)
    t.diagnostic(
      `${path}: ${count} rows shown after ${Math.round(shownMs)} ms, ${frames} frames in 2 s of scrolling, the ` +
        `longest ${Math.round(longestMs)} ms, ${elements} elements`
    )
    assert.ok(elements < 3000, `${elements} elements are in the document`)
    // Two busy cores are no desk: what would freeze takes seconds.
    assert.ok(longestMs < 1000, `a frame took ${longestMs} ms`)
    assert.ok(shownMs < 10_000, `shown after ${shownMs} ms`)
  }
  await cluster.move()
  await page.goto(new URL(`/groups/${encodeURIComponent(cluster.groupIds[0] ?? '')}`, home).href)
  await page.getByRole('heading', { level: 1, name: cluster.groupIds[0] ?? '' }).waitFor()
  t.diagnostic(`${Math.round(received / 1000)} kB of answers beside the stream`)
  assert.deepEqual(complaints, [])
})
