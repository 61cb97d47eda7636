/** What is chosen on the page of a group, as its address has it: pure. */

const sorts = [
  'partition',
  'lagSeconds',
  'lagRecords',
  'arrivalRate',
  'serviceRate',
  'drainSeconds',
  'headroomSeconds',
  'status'
] as const

/** Where nothing is chosen. */
export const groupDefaults = { tab: 'partitions', heat: 'lagSeconds', find: '', sort: 'partition', descending: 'false' }

/** What is chosen. */
export type GroupQuery = typeof groupDefaults

/** Changes what is chosen. */
export type SetGroupQuery = (change: Partial<GroupQuery>) => void

/** What the server is asked; an address that somebody has edited asks for nothing that it does not know. */
export function detailAddress(groupId: string, query: GroupQuery): string {
  const sort = sorts.find(name => name === query.sort) ?? groupDefaults.sort
  const asked = new URLSearchParams({ id: groupId, sort, descending: String(query.descending === 'true') })
  if (query.find.trim() !== '') asked.set('find', query.find.trim().slice(0, 300))
  return `/api/group?${asked}`
}
