/** Settings of a DynamoDB target, and what can be wrong with them. Apart from the sink, which needs AWS's SDK. */

import { OptionCheck } from './option-check.ts'
import { readRecordTemplate, type RecordTemplate } from './record-template.ts'

/**
 * Where the value of an attribute comes from: the path of a member (`order.id`), or a template. A template that is one
 * place and nothing else keeps the type of what it stands for (`{value.order}`, `{offset}`); others are text.
 */
export type AttributeSource = string

/** A DynamoDB table in the configuration. */
export interface DynamoDbSinkSettings {
  readonly type: 'dynamoDb'
  /** Name or ARN of the table. */
  readonly table: string
  /**
   * The attributes of its primary key, partition key first: names of members, or attributes with what they are made
   * of. A record that has nothing for them is refused.
   */
  readonly key: readonly string[] | Readonly<Record<string, AttributeSource>>
  /** Other attributes. Default: all members of the value, which must be an object then. */
  readonly attributes?: Readonly<Record<string, AttributeSource>>
  /**
   * `newer`: an item is written only if the stored one is older, so that replays and late retries never go back in
   * time. It costs a request for each item instead of one for 25. Default: always written.
   */
  readonly condition?: 'newer'
  /**
   * With `condition`: what is compared, number or text. Default `{offset}`, within one partition: an item that was
   * written from another partition counts as older.
   */
  readonly version?: AttributeSource
  /**
   * With `condition` by offset: text before topic and partition in `comporta_origin`. Offsets of a topic that is made
   * anew begin at 0 again, below those of all stored items: another prefix makes these older. So with topics of one
   * name in two clusters. Default none.
   */
  readonly originPrefix?: string
  /** AWS region. Default: the one in the ARN, else AWS's own chain. */
  readonly region?: string
  /** Address of DynamoDB. Default: `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL`, AWS's. */
  readonly endpoint?: string
  /** Most requests at once. Integer, 1 to 50. Default 8; 16 with `condition`. */
  readonly concurrency?: number
}

/** Attribute that an item has with `condition`: what was compared. */
export const VERSION_ATTRIBUTE = 'comporta_version'
/** Attribute that an item has with `condition` by offset: the partition that the offset counts in. */
export const ORIGIN_ATTRIBUTE = 'comporta_origin'

/** Every problem of a DynamoDB target's settings. */
export function dynamoDbSinkProblems(given: unknown): string[] {
  const check = new OptionCheck(given)
  check.text('table', {
    isRequired: true,
    pattern: /^(?:arn:aws[\w-]*:dynamodb:[a-z\d-]+:\d{12}:table\/)?[a-zA-Z0-9_.-]{3,255}$/,
    hint: 'the name or ARN of a table'
  })
  keyProblems(check)
  const attributes = check.take('attributes')
  if (attributes !== undefined) sourcesProblems(check, 'attributes', attributes)
  const condition = check.oneOf('condition', ['newer'])
  const version = check.text('version', { hint: 'the path of a member, or a template' })
  if (version !== undefined) {
    if (condition === undefined) check.report('version', 'belongs to condition: newer; give it, or leave this out')
    const source = readAttributeSource(version)
    if (typeof source === 'string') check.report('version', source)
  }
  const originPrefix = check.text('originPrefix', { pattern: /^[\x21-\x7e]{1,128}$/, hint: '1 to 128 signs of ASCII' })
  if (originPrefix !== undefined && (condition === undefined || version !== undefined)) {
    check.report('originPrefix', 'belongs to condition: newer without version, which compares offsets')
  }
  check.awsPlace()
  check.integer('concurrency', 1, 50)
  return check.finish()
}

function keyProblems(check: OptionCheck): void {
  const key = check.take('key')
  const hint = 'is not one or two attributes: a list of names such as ["id"], or { pk: "order.id" }'
  if (Array.isArray(key)) {
    const isList = key.every(name => typeof name === 'string' && name !== '') && new Set(key).size === key.length
    if (!isList || key.length < 1 || key.length > 2) check.report('key', hint)
  } else if (typeof key !== 'object' || key === null) check.report('key', hint)
  else {
    const { length } = Object.keys(key)
    if (length < 1 || length > 2) check.report('key', hint)
    sourcesProblems(check, 'key', key)
  }
}

function sourcesProblems(check: OptionCheck, name: string, sources: unknown): void {
  if (typeof sources !== 'object' || sources === null || Array.isArray(sources)) {
    check.report(name, 'are not attributes with what they are made of, such as { total: "order.total" }')
    return
  }
  for (const [attribute, source] of Object.entries(sources)) {
    const path = `${name}.${attribute}`
    if (attribute === '' || Buffer.byteLength(attribute) > 255) check.report(path, 'is no name of an attribute')
    if (attribute === VERSION_ATTRIBUTE || attribute === ORIGIN_ATTRIBUTE) {
      check.report(path, 'is an attribute that condition: newer writes itself')
    }
    const read = typeof source === 'string' && source !== '' ? readAttributeSource(source) : 'is not a text'
    if (typeof read === 'string') check.report(path, read)
  }
}

/** What an attribute is made of; text says what is wrong with it. */
export function readAttributeSource(source: AttributeSource): RecordTemplate | string {
  if (/[{}]/.test(source)) return readRecordTemplate(source)
  return { literals: ['', ''], places: [{ kind: 'value', path: source.split('.') }] }
}
