/** Kafka's rules for topic names. Source: Kafka `Topic`, `TopicConfig`. */

const NAME_LENGTH_MAX = 249

/** Topics that only the broker writes to. */
export const INTERNAL_TOPICS: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state'])

/** Why a name is not allowed; `undefined` if it is. */
export function topicNameProblem(name: string): string | undefined {
  if (name === '') return 'the empty string is not allowed'
  if (name === '.' || name === '..') return `'${name}' is not allowed`
  if (name.length > NAME_LENGTH_MAX) return `the length of '${name.slice(0, 40)}…' is above ${NAME_LENGTH_MAX}`
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return "only ASCII letters, digits, '.', '_' and '-' are allowed"
  }
  return undefined
}

/** The name in which `.` and `_` are the same: two topics that differ in these alone have the same metrics. */
export function collisionName(name: string): string {
  return name.replaceAll('.', '_')
}
