/**
 * Names of the topics that a request names, whatever its API: requests carry
 * them as lists of names, of objects with a name, or of objects with an id.
 */

/** Fields whose entries are topics. */
const TOPIC_LISTS = new Set(['topics', 'topicData', 'topicNames'])
/** Fields of an entry that hold the name. */
const NAME_FIELDS = ['name', 'topic', 'topicName', 'topicId']
/** Fields whose entries have lists of topics. */
const GROUPED_LISTS = new Set(['groups', 'transactions', 'markers', 'dirs', 'v3AndBelowTopics'])

/**
 * The topics of a request.
 *
 * @param request - A decoded request message.
 * @param nameOfId - The name of a topic by its id; `undefined` if there is none.
 */
export function topicsOf(request: unknown, nameOfId: (topicId: string) => string | undefined): string[] {
  const names = new Set<string>()
  for (const [field, value] of Object.entries(request ?? {})) {
    if (!Array.isArray(value)) continue
    for (const entry of value) {
      if (GROUPED_LISTS.has(field) && !isTopic(entry)) for (const name of topicsOf(entry, nameOfId)) names.add(name)
      else if (TOPIC_LISTS.has(field) || GROUPED_LISTS.has(field)) addName(names, entry, nameOfId)
    }
  }
  return [...names]
}

function isTopic(entry: unknown): boolean {
  return typeof entry === 'object' && entry !== null && 'partitions' in entry && !('topics' in entry)
}

function addName(names: Set<string>, entry: unknown, nameOfId: (topicId: string) => string | undefined): void {
  if (typeof entry === 'string') names.add(entry)
  if (typeof entry !== 'object' || entry === null) return
  const fields = new Map<string, unknown>(Object.entries(entry))
  for (const field of NAME_FIELDS) {
    const value = fields.get(field)
    const name = field === 'topicId' && typeof value === 'string' ? nameOfId(value) : value
    if (typeof name === 'string' && name !== '') names.add(name)
  }
}
