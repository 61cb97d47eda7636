/** Words in two languages: pure. Every key is in both, which the types see to. */

/** Languages of the console. */
export const LANGUAGES = ['en', 'pt-BR'] as const
/** One of them. */
export type Language = (typeof LANGUAGES)[number]

/** A text, `{name}` standing for a value; or its forms for the value `count`. */
export type Words = string | { readonly one: string; readonly other: string }

/** Words of one area, by key: the same keys in both languages. */
export interface AreaWords<K extends string> {
  readonly en: Readonly<Record<K, Words>>
  readonly pt: Readonly<Record<K, Words>>
}

/** What goes into a text. */
export type Values = Readonly<Record<string, string | number>>

/** Gives words their type: a key that one language lacks does not compile. */
export function defineWords<const E extends Readonly<Record<string, Words>>>(both: {
  readonly en: E
  readonly pt: Readonly<Record<keyof E & string, Words>>
}): AreaWords<keyof E & string> {
  return both
}

/** A text with its values, in the form that the language has for their count. */
export function fill(words: Words, values: Values, language: Language): string {
  const form = typeof words === 'string' ? words : pluralForm(words, values, language)
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name]
    if (value === undefined) return whole
    return typeof value === 'number' ? numberFormat(language).format(value) : value
  })
}

/** The language of the console that is nearest to what the reader wants, the first first. */
export function languageFor(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    if (/^pt\b/i.test(tag)) return 'pt-BR'
    if (/^en\b/i.test(tag)) return 'en'
  }
  return 'en'
}

function pluralForm(words: Exclude<Words, string>, values: Values, language: Language): string {
  const count = Number(values['count'] ?? 0)
  return rulesOf(language).select(count) === 'one' ? words.one : words.other
}

const rules = new Map<Language, Intl.PluralRules>()
const numbers = new Map<Language, Intl.NumberFormat>()

function rulesOf(language: Language): Intl.PluralRules {
  const known = rules.get(language) ?? new Intl.PluralRules(language)
  rules.set(language, known)
  return known
}

function numberFormat(language: Language): Intl.NumberFormat {
  const known = numbers.get(language) ?? new Intl.NumberFormat(language, { maximumFractionDigits: 2 })
  numbers.set(language, known)
  return known
}
