/** Settings as lines of text, `name=value`: pure. */

/** What lines say, or the first line that says nothing. */
export type ReadSettings =
  | { readonly kind: 'settings'; readonly settings: Readonly<Record<string, string | null>> }
  | { readonly kind: 'wrong'; readonly line: string }

/** Reads lines; a name with nothing after `=` has `null`: back to its default. Empty and `#` lines say nothing. */
export function readSettings(text: string): ReadSettings {
  const settings: Record<string, string | null> = {}
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const match = /^([\w.-]+)\s*=\s*(.*)$/.exec(line)
    if (match === null) return { kind: 'wrong', line }
    const value = (match[2] ?? '').trim()
    settings[match[1] ?? ''] = value === '' ? null : value
  }
  return { kind: 'settings', settings }
}

/** Whether Kafka takes a name for a topic. Source: Kafka `Topic.validate`. */
export function isTopicName(name: string): boolean {
  return /^[\w.-]{1,249}$/.test(name) && name !== '.' && name !== '..'
}

/** A whole number of text within limits; `undefined` = it is none. */
export function wholeNumber(text: string, least: number, most: number): number | undefined {
  if (!/^\d{1,9}$/.test(text.trim())) return undefined
  const value = Number(text)
  return value >= least && value <= most ? value : undefined
}
