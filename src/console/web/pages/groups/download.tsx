/** Downloads a whole list as CSV, as it is filtered and sorted, where downloads are allowed. */

import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'

import type { Page } from '../../../api/common.ts'
import { asProblem, getJson } from '../../base/api.ts'
import { session } from '../../base/session.ts'
import { toast } from '../../base/toasts.ts'
import { t } from '../../base/words.ts'
import { Button } from '../../parts/button.tsx'
import { type CsvCell, csvText } from './csv.ts'

/** Rows of a download at most, and of each request for it. */
const ROWS_MAX = 50_000
const PAGE_ROWS = 500

/** What a download is made of. */
export interface DownloadOptions<T> {
  /** Path and query of the list, without the part of it. */
  readonly list: string
  /** Of the file, without its ending. */
  readonly name: string
  readonly head: readonly string[]
  readonly rowOf: (row: T) => readonly CsvCell[]
}

/** The button for it. */
export function DownloadButton<T>(options: DownloadOptions<T>): VNode {
  const isBusy = useSignal(false)
  const isAllowed = session.value?.isExportAllowed === true
  const run = async (): Promise<void> => {
    isBusy.value = true
    try {
      save(`${options.name}.csv`, csvText(options.head, (await allRows<T>(options.list)).map(options.rowOf)))
    } catch (error) {
      toast('bad', t('groups.download.failed', { message: asProblem(error).message }))
    } finally {
      isBusy.value = false
    }
  }
  return (
    <Button
      icon="download"
      isBusy={isBusy.value}
      isDisabled={!isAllowed}
      title={isAllowed ? (isBusy.value ? t('groups.download.busy') : '') : t('groups.download.none')}
      onPress={() => void run()}
    >
      {t('groups.download')}
    </Button>
  )
}

async function allRows<T>(list: string): Promise<readonly T[]> {
  const rows: T[] = []
  for (;;) {
    const page = await getJson<Page<T>>(`${list}&offset=${rows.length}&limit=${PAGE_ROWS}`)
    rows.push(...page.rows)
    if (page.rows.length === 0 || rows.length >= Math.min(page.total, ROWS_MAX)) return rows
  }
}

function save(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/csv' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}
