/** The operating system's Chromium, driven as a person would: with a watch on everything that a page complains of. */

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const require = createRequire(import.meta.url)
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/**
 * Starts Chromium; the end of the test closes it.
 *
 * @returns `undefined` after skipping the test where there is no Chromium, unless CI needs one (`REQUIRE_CHROMIUM`).
 */
export async function openBrowser(t: TestContext): Promise<Browser | undefined> {
  const executablePath = process.env['CHROMIUM'] ?? places.find(existsSync)
  if (executablePath === undefined) {
    if (process.env['REQUIRE_CHROMIUM'] !== undefined) throw new Error(`no Chromium at ${places.join(', ')}`)
    t.skip('no Chromium: install it, or name it in CHROMIUM')
    return undefined
  }
  // Root needs --no-sandbox; the pages are our own.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  t.after(() => browser.close())
  return browser
}

/** A page, and what it complained of: errors of scripts, refused resources, violations of the content policy. */
export interface WatchedPage {
  readonly page: Page
  /** Complaints since the start, oldest first. */
  readonly complaints: string[]
}

/** Opens a page that is watched. Requests to other hosts than the console's are complaints, too. */
export async function openPage(
  browser: Browser,
  home: string,
  options: BrowserContextOptions = {}
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-US', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(10_000)
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(`error: ${error.message}`))
  page.on('console', message => {
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`)
  })
  page.on('request', request => {
    if (new URL(request.url()).origin !== new URL(home).origin && !request.url().startsWith('data:')) {
      complaints.push(`request to ${request.url()}`)
    }
  })
  return { page, complaints }
}

/** What axe finds on the page by the rules of WCAG 2.2 A and AA, one line each. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  // Evaluated by the debugger, so that the page's own content policy stays in force.
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'))
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  const options = JSON.stringify({ runOnly: { type: 'tag', values: tags } })
  // What axe answers, by its documentation.
  const { violations } = (await page.evaluate(`axe.run(document, ${options})`)) as { violations: AxeViolation[] }
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.slice(0, 3).map(node => `${id}: ${help}: ${node.html.slice(0, 200)} ${node.failureSummary ?? ''}`)
  )
}

interface AxeViolation {
  readonly id: string
  readonly help: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

/** Keeps a picture of the page for people, where `SCREENSHOTS` names a folder. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS']
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}
