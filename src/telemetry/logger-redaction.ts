/**
 * Takes secrets out of a log line: the second line of defence.
 *
 * The first is that nobody logs one. But errors of libraries quote addresses, headers and settings, and a log is read
 * by more people than the pipeline file. What is looked for is what secrets look like, in the line as it is written:
 * user names and passwords in addresses, members named like secrets, authorization of HTTP, `password=…` in texts.
 *
 * Limit: a secret without a name or place around it cannot be told from a word. Payloads are not looked for here;
 * nothing in this package logs any.
 */

const HIDDEN = '***'

/** Any line without one of these holds nothing that is hidden: cheap to ask, and mostly no. */
const SUSPICIOUS =
  /@|pass|secret|token|authori[sz]|cookie|bearer|basic|api-?_?key|private|access-?_?key|credential|sig/i

// Every repetition has a limit: texts of others are in lines, and a search must not take a long time for a long one.
const USER_INFO = /([a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/?#@"'\\]{1,1024}@/gi
const WORDS = [
  'pass(?:word|wd|phrase)',
  'secret',
  'token',
  'authori[sz]ation',
  'cookie',
  'api[-_]?key',
  'private[-_]?key',
  'access[-_]?key(?:[-_]?id)?',
  'credentials?'
]
const NAME = `[\\w.-]{0,64}(?:${WORDS.join('|')})`
const MEMBER = new RegExp(`("${NAME}":)"(?:[^"\\\\]|\\\\.)*"`, 'gi')
/** The same in a line that is itself a text in a line, as those of functions are. */
const INNER_MEMBER = new RegExp(`(\\\\"${NAME}\\\\":\\\\")[^"\\\\]*`, 'gi')
const SCHEME = /\b(bearer|basic)\s+[\w.~+/=-]{4,}/gi
const ASSIGNMENT = new RegExp(
  `\\b(${NAME}|sig|signature|x-amz-signature|x-amz-security-token)=(?:\\\\"[^"\\\\]*\\\\"|[^\\s"&;,\\\\]+)`,
  'gi'
)

/** A line of JSON without what looks like a secret. It stays the same JSON otherwise. */
export function redactLine(line: string): string {
  if (!SUSPICIOUS.test(line)) return line
  return line
    .replace(USER_INFO, `$1${HIDDEN}@`)
    .replace(MEMBER, `$1"${HIDDEN}"`)
    .replace(INNER_MEMBER, `$1${HIDDEN}`)
    .replace(SCHEME, `$1 ${HIDDEN}`)
    .replace(ASSIGNMENT, `$1=${HIDDEN}`)
}
