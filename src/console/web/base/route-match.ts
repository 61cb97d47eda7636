/** Addresses of pages: pure. A pattern is a path whose parts may be names (`/groups/:id`). */

/** Values of the named parts of a path, decoded. */
export type Params = Readonly<Record<string, string>>

/** Values of a pattern's names in a path; `undefined` = no match. Text that cannot be decoded stays as it is. */
export function matchPath(pattern: string, path: string): Params | undefined {
  const wanted = partsOf(pattern)
  const given = partsOf(path)
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? ''
    if (part.startsWith(':')) params[part.slice(1)] = decoded(value)
    else if (part !== value) return undefined
  }
  return params
}

/** A path of a pattern, its values encoded. */
export function pathOf(pattern: string, params: Params): string {
  return pattern.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
}

/** A query with some values changed; those that equal their default, or are empty without one, are left out. */
export function changedQuery(query: string, defaults: Params, change: Partial<Params>): string {
  const values = new URLSearchParams(query)
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined || value === (defaults[name] ?? '')) values.delete(name)
    else values.set(name, value)
  }
  const text = values.toString()
  return text === '' ? '' : `?${text}`
}

/** Values of a query, with defaults for those that it does not name. */
export function queryValues<T extends Params>(query: string, defaults: T): T {
  const given = new URLSearchParams(query)
  const entries = Object.entries(defaults).map(([name, value]) => [name, given.get(name) ?? value])
  return Object.fromEntries(entries) as T // same names, same kind of values
}

function partsOf(path: string): readonly string[] {
  return path.split('/').filter(part => part !== '')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
