/**
 * Records by a template, as kcat's `-f` has it.
 *
 *     %t topic   %p partition   %o offset   %T time in ms since 1970   %D time, ISO 8601
 *     %k key     %K its length  %s or %v value   %S its length   %h headers as name=value,…   %% a percent sign
 *     \n \r \t \0 \\ and \xff are bytes
 *
 * A null key or value has the length -1 and no text. Values go out as they are.
 * Source: kcat(1), option `-f`; `%D` and `%v` are ours.
 */

import { PipelineError } from '../../core/index.ts'
import { type ReadRecord, timeText } from './read-record.ts'

type Piece = (record: ReadRecord) => Buffer

const nothing = Buffer.alloc(0)
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0', '\\': '\\' }

const fields: Readonly<Record<string, Piece>> = {
  t: ({ topic }) => Buffer.from(topic),
  p: ({ partition }) => Buffer.from(String(partition)),
  o: ({ offset }) => Buffer.from(String(offset)),
  T: ({ timestampMs }) => Buffer.from(String(timestampMs)),
  D: ({ timestampMs }) => Buffer.from(timeText(timestampMs)),
  k: ({ key }) => key ?? nothing,
  K: ({ key }) => Buffer.from(String(key?.length ?? -1)),
  s: ({ value }) => value ?? nothing,
  v: ({ value }) => value ?? nothing,
  S: ({ value }) => Buffer.from(String(value?.length ?? -1)),
  h: ({ headers }) => headersText(headers),
  '%': () => Buffer.from('%')
}

/**
 * Compiles a template.
 *
 * @param names - Names of formats, for the message.
 * @throws PipelineError `ERR_OPS_QUERY_INVALID` if it has no field, or one that is not known.
 */
export function templateFormat(template: string, names: readonly string[]): (record: ReadRecord) => Buffer {
  if (!template.includes('%')) {
    throw invalid(`no such format: ${template}; there are ${names.join(', ')}, and templates such as '%p %o %k %s\\n'`)
  }
  const pieces: Piece[] = []
  let literal: Buffer[] = []
  const endLiteral = (): void => {
    const bytes = Buffer.concat(literal)
    if (bytes.length > 0) pieces.push(() => bytes)
    literal = []
  }
  for (const [whole, name, hex, escape] of template.matchAll(/%(.?)|\\(?:x([0-9a-fA-F]{2})|(.?))|[^%\\]+/gs)) {
    if (whole.startsWith('%')) {
      const field = name === undefined ? undefined : fields[name]
      if (field === undefined) throw invalid(`the format has ${whole}; fields are %t %p %o %T %D %k %K %s %v %S %h %%`)
      endLiteral()
      pieces.push(field)
    } else if (whole.startsWith('\\x')) literal.push(Buffer.from(hex ?? '', 'hex'))
    else if (whole.startsWith('\\')) {
      const text = escapes[escape ?? '']
      if (text === undefined) throw invalid(`the format has ${whole}; escapes are \\n \\r \\t \\0 \\\\ \\xff`)
      literal.push(Buffer.from(text))
    } else literal.push(Buffer.from(whole))
  }
  endLiteral()
  // Without an end of its own a record would run into the next one.
  if (!/\\(?:n|0|x00|x0a)$/i.test(template)) pieces.push(() => Buffer.from('\n'))
  return record => Buffer.concat(pieces.map(piece => piece(record)))
}

function headersText(headers: ReadRecord['headers']): Buffer {
  const parts = headers.flatMap(({ key, value }, index) => [
    Buffer.from(`${index === 0 ? '' : ','}${key}=`),
    value ?? Buffer.from('NULL')
  ])
  return Buffer.concat(parts)
}

function invalid(message: string): PipelineError {
  return new PipelineError('ERR_OPS_QUERY_INVALID', message)
}
