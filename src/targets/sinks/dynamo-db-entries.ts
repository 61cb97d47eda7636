/**
 * Items for DynamoDB from the records of one request.
 *
 * Of several records for one item only the last is written, because a request may hold an item once and writes its
 * items in any order: the earlier ones count as delivered when it is. With a version of one's own all of them are
 * tried, one after the other, because the last need not be the newest.
 */

import type { Entry } from '../aws/entry-plan.ts'
import {
  attributeAt,
  attributeOf,
  type AttributeValue,
  checkItem,
  type Item,
  ItemError,
  itemKey
} from './dynamo-db-item.ts'
import { ORIGIN_ATTRIBUTE, VERSION_ATTRIBUTE } from './dynamo-db-settings.ts'
import type { SinkFailure, SinkRequest } from './record-sink.ts'
import { parseExact, readsValue, type RecordPlace, type RecordTemplate, renderTemplate } from './record-template.ts'

/** One item to be written. */
export interface ItemEntry extends Entry {
  readonly key: string
  readonly item: Item
}

/** How items are made. */
export interface ItemSettings {
  /** Attributes of the primary key, in its order. */
  readonly key: readonly string[]
  /** What attributes are made of, those of the key included as far as they are not members. */
  readonly sources: ReadonlyMap<string, RecordTemplate>
  /** Whether the members of the value are attributes. */
  readonly isWhole: boolean
  /** What `condition: newer` compares; `offset`: the offset, within one partition. */
  readonly version: 'offset' | RecordTemplate | undefined
  /** What stands before the partition that an offset counts in. */
  readonly originPrefix: string
}

/** Makes the items of one request. */
export function makeItems(
  request: SinkRequest,
  settings: ItemSettings
): { readonly entries: readonly ItemEntry[]; readonly refused: ReadonlyMap<number, SinkFailure> } {
  const refused = new Map<number, SinkFailure>()
  const isGrouped = settings.version !== undefined && settings.version !== 'offset'
  const all: ItemEntry[] = []
  const last = new Map<string, ItemEntry>()
  for (const index of request.texts.keys()) {
    try {
      const { item, key } = itemOf(request, index, settings)
      const bytes = Buffer.byteLength(JSON.stringify(item))
      const before = isGrouped ? [] : (last.get(key)?.indexes ?? [])
      const entry = { indexes: [...before, index], bytes, group: isGrouped ? key : undefined, key, item }
      if (isGrouped) all.push(entry)
      else {
        // Where the last one stands, not where the first one stood.
        last.delete(key)
        last.set(key, entry)
      }
    } catch (error) {
      if (!(error instanceof ItemError)) throw error
      refused.set(index, { action: 'deadLetter', reason: error.message })
    }
  }
  return { entries: isGrouped ? all : [...last.values()], refused }
}

/** @throws ItemError */
function itemOf(request: SinkRequest, index: number, settings: ItemSettings): { item: Item; key: string } {
  const text = request.texts[index] ?? 'null'
  const root = attributeOf(text)
  const item: Item = {}
  if (settings.isWhole) {
    if (!('M' in root)) throw new ItemError('the value is no object, so it has no attributes')
    Object.assign(item, root.M)
  }
  for (const [name, source] of settings.sources) {
    const value = sourceValue(source, request, { index, root, text })
    if (value !== undefined) item[name] = value
  }
  setVersion(item, request, { index, root, text, settings })
  checkItem(item)
  return { item, key: itemKey(item, settings.key) }
}

interface Source {
  readonly index: number
  readonly root: AttributeValue
  readonly text: string
}

/** @throws ItemError */
function setVersion(
  item: Item,
  request: SinkRequest,
  { settings, ...source }: Source & { readonly settings: ItemSettings }
): void {
  const { version, originPrefix } = settings
  if (version === undefined) return
  if (version === 'offset') {
    item[VERSION_ATTRIBUTE] = { N: String(request.offsets[source.index]) }
    item[ORIGIN_ATTRIBUTE] = { S: `${originPrefix}${request.topic}-${request.partition}` }
    return
  }
  const value = sourceValue(version, request, source)
  if (value === undefined || !('N' in value || 'S' in value)) {
    throw new ItemError('the record has no text or number for the version')
  }
  item[VERSION_ATTRIBUTE] = value
}

/** What an attribute is: of the type that a single place has, else text. */
function sourceValue(template: RecordTemplate, request: SinkRequest, source: Source): AttributeValue | undefined {
  const [place, ...more] = template.places
  if (place !== undefined && more.length === 0 && template.literals.every(literal => literal === '')) {
    return placeValue(place, request, source)
  }
  const value = readsValue(template) ? parseExact(source.text) : undefined
  const text = renderTemplate(template, request, { index: source.index, value })
  return text === undefined ? undefined : { S: text }
}

function placeValue(place: RecordPlace, request: SinkRequest, { index, root }: Source): AttributeValue | undefined {
  switch (place.kind) {
    case 'value':
      return attributeAt(root, place.path)
    case 'topic':
      return { S: request.topic }
    case 'partition':
      return { N: String(request.partition) }
    case 'offset':
      return { N: String(request.offsets[index]) }
    case 'timestamp':
      return request.timestamps === undefined ? undefined : { N: String(request.timestamps[index]) }
    case 'key':
      return typeof request.keys?.[index] === 'string' ? { S: request.keys[index] } : undefined
    case 'id':
      return { S: request.recordIds[index] ?? '' }
  }
}
