/** What is read, as the address of the page has it and as the server is asked: pure. */

/** Defaults of the address. */
export const defaults = {
  topic: '',
  partition: '',
  from: 'latest',
  fromMs: '',
  fromOffset: '',
  toMs: '',
  find: '',
  findIn: 'any',
  isPattern: 'false',
  isCaseIgnored: 'false',
  shape: 'auto'
}

/** See `defaults`. */
export type RecordsPageQuery = typeof defaults

/** The query of the server; without parts that do not count. */
export function apiQuery(query: RecordsPageQuery, more: Readonly<Record<string, string>> = {}): string {
  const isFrom = (name: string): boolean =>
    (name !== 'fromMs' || query.from === 'datetime') && (name !== 'fromOffset' || query.from === 'offset')
  const isSearch = (name: string): boolean =>
    query.find !== '' || !['findIn', 'isPattern', 'isCaseIgnored'].includes(name)
  const entries = Object.entries(query).filter(([name, value]) => value !== '' && isFrom(name) && isSearch(name))
  return new URLSearchParams({ ...Object.fromEntries(entries), ...more }).toString()
}

/** Whether the server can be asked. */
export function isWhole({ topic, from, fromMs, fromOffset }: RecordsPageQuery): boolean {
  if (topic === '' || (from === 'datetime' && fromMs === '')) return false
  return from !== 'offset' || /^\d+$/.test(fromOffset)
}
