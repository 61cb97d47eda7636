/**
 * What dispatchers say of their target, read from their Prometheus pages: open
 * breakers, and the mean time of an invocation since the look before.
 *
 * A page that cannot be read says nothing: the health is then that of the others,
 * and without any it is unknown, so that only the rates tell.
 */

import { type Clock, systemClock } from '../../core/index.ts'
import { answerText } from '../fleet/answer-text.ts'
import { type Deadline, withDeadline } from '../fleet/deadline.ts'
import type { TargetHealth } from './scale-types.ts'

/** What one page said. */
interface Page {
  readonly isBreakerOpen: boolean
  /** Invocations since the process started, and their time in milliseconds. */
  readonly count: number
  readonly sumMs: number
}

const TIMEOUT_MS = 3_000
const PAGE_CHARACTERS_MAX = 4_194_304
/** A line of the text format: name, labels, value. */
const LINE = /^(comporta_dispatcher_(?:breaker_open|invoke_duration[a-z_]*))(?:\{([^}]*)\})? ([0-9.e+-]+)/

/** Reads pages again and again. */
export class TargetWatch {
  readonly #clock: Clock
  #before = new Map<string, Page>()

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /**
   * Looks at all pages.
   *
   * @param group - Only lines of this group.
   * @returns `undefined` if none could be read.
   */
  async look(urls: readonly string[], group: string, signal?: AbortSignal): Promise<TargetHealth | undefined> {
    const pages = new Map<string, Page>()
    await Promise.all(
      urls.map(async url => {
        const page = await pageOf(url, group, { clock: this.#clock, timeoutMs: TIMEOUT_MS, signal })
        if (page !== undefined) pages.set(url, page)
      })
    )
    if (pages.size === 0) return undefined
    let [count, sumMs, isBreakerOpen] = [0, 0, false]
    for (const [url, page] of pages) {
      isBreakerOpen ||= page.isBreakerOpen
      const before = this.#before.get(url)
      // A process that was started anew counts from zero.
      if (before === undefined || page.count < before.count) continue
      count += page.count - before.count
      sumMs += page.sumMs - before.sumMs
    }
    this.#before = pages
    return { isBreakerOpen, latencyMs: count > 0 ? sumMs / count : undefined }
  }
}

async function pageOf(url: string, group: string, deadline: Deadline): Promise<Page | undefined> {
  try {
    const text = await withDeadline(deadline, async signal => {
      const response = await fetch(url, { signal, redirect: 'error' })
      return response.ok ? await answerText(response, PAGE_CHARACTERS_MAX) : undefined
    })
    return text === undefined ? undefined : readTargetPage(text, group)
  } catch {
    // Said by its absence: what could be read of the others counts.
    return undefined
  }
}

/** Reads one page. */
export function readTargetPage(text: string, group: string): Page {
  const wanted = `group="${group.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  let [count, sumMs, isBreakerOpen] = [0, 0, false]
  for (const line of text.split('\n')) {
    const [, name, labels = '', value = ''] = LINE.exec(line) ?? []
    if (name === undefined || !labels.includes(wanted)) continue
    const amount = Number(value)
    if (name.endsWith('breaker_open')) isBreakerOpen ||= amount > 0
    else if (name.endsWith('_sum')) sumMs += amount
    else if (name.endsWith('_count')) count += amount
  }
  return { count, sumMs, isBreakerOpen }
}
