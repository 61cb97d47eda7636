/** Records through the console: pages, a live tail, single ones, files; and dead letters. */

import type { FastifyReply, FastifyRequest } from 'fastify'

import { PipelineError, printableText } from '../../core/index.ts'
import { getRecord, readDeadLetter, type ReadRecord, type RecordMatcher, resolveRanges } from '../../ops/index.ts'
import {
  type ExportFormat,
  LIST_BYTES,
  RECORD_BYTES,
  type RecordAnswer,
  type RecordsAnswer,
  type ShownRecord
} from '../api/records.ts'
import { hiddenParts, quotesHidden, topicsOf } from '../server/masking.ts'
import { queryOf } from '../server/routes.ts'
import type { AddRoutes, Caller, ConsoleContext, ConsoleRoutes } from '../server/server-types.ts'
import { DeadLetterBox, rowOf } from './dead-letters.ts'
import { openEventStream } from './event-stream.ts'
import { exportText } from './export-records.ts'
import { positionsText } from './positions.ts'
import { ReadingSlots, withBudget } from './reading-budget.ts'
import { readPage } from './read-records.ts'
import {
  matcherOf,
  numberOf,
  offsetOf,
  PARTITION_MAX,
  type ReadQuery,
  TIME_MAX,
  readRecordsQuery,
  shapeOf,
  topicOf
} from './records-query.ts'
import { shownTo } from './shown-record.ts'
import { runTail } from './tail.ts'

const READINGS_MAX = 6
const READINGS_OF_ONE_MAX = 3
const TAILS_MAX = 12
const TAILS_OF_ONE_MAX = 3
const EXPORT_BYTES = 65_536
const LETTERS_LIMIT_MAX = 500
const NOTED_MAX = 1000

/** Adds the answers of this area. */
export const addRecordRoutes: AddRoutes = (routes, context) => {
  new RecordRoutes(routes, context).add()
}

interface Ask {
  readonly query: URLSearchParams
  readonly caller: Caller
  /** Who asks by now: throws if the login has ended meanwhile. */
  readonly again: () => Caller
  readonly reply: FastifyReply
  /** Aborts when the browser has gone. */
  readonly gone: AbortSignal
}

class RecordRoutes {
  readonly #routes: ConsoleRoutes
  readonly #context: ConsoleContext
  readonly #slots = new ReadingSlots(READINGS_MAX, READINGS_OF_ONE_MAX)
  readonly #tails = new ReadingSlots(TAILS_MAX, TAILS_OF_ONE_MAX)
  readonly #letters: DeadLetterBox
  /** Readings that are in the audit log; the oldest are forgotten, and noted once more. */
  readonly #noted = new Set<string>()

  constructor(routes: ConsoleRoutes, context: ConsoleContext) {
    this.#routes = routes
    this.#context = context
    this.#letters = new DeadLetterBox(context)
  }

  add(): void {
    this.#get('/api/records', ask => this.#records(ask))
    this.#get('/api/records/export', ask => this.#export(ask))
    this.#get('/api/records/tail', ask => this.#tail(ask))
    this.#get('/api/record', ask => this.#record(ask))
    this.#get('/api/record/bytes', ask => this.#bytes(ask))
    this.#get('/api/dead-letters', ask => this.#deadLetters(ask))
  }

  #get(path: string, run: (ask: Ask) => Promise<unknown>): void {
    const { app } = this.#routes
    app.get(path, async (request: FastifyRequest, reply: FastifyReply) => {
      const gone = new AbortController()
      reply.raw.on('close', () => gone.abort())
      const query = queryOf(request)
      const again = (): Caller => this.#routes.callerOf(request)
      return await run({ query, caller: again(), again, reply, gone: gone.signal })
    })
  }

  /** Reads within the limits of one request. */
  async #reading<T>({ caller, gone }: Ask, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const release = this.#slots.take(caller.sessionId)
    try {
      return await withBudget(this.#context.clock, [gone, this.#context.closing], run)
    } finally {
      release()
    }
  }

  async #records(ask: Ask): Promise<RecordsAnswer> {
    return await this.#page(ask, LIST_BYTES, 'records.read')
  }

  async #page(ask: Ask, bytesMax: number, action: string): Promise<RecordsAnswer> {
    const { caller } = ask
    const query = readRecordsQuery(ask.query)
    const { cluster, admin } = this.#context
    const matcher = this.#matcherOf(query, caller)
    // What goes on where it was is part of what has been noted; who goes on elsewhere has begun there.
    const reading = JSON.stringify([caller.sessionId, action, query.topic, query.partition, query.find])
    if (query.next === undefined || !this.#noted.has(reading)) await this.#note(caller, action, query)
    this.#noted.delete(reading)
    this.#noted.add(reading)
    const [oldest] = this.#noted
    if (this.#noted.size > NOTED_MAX && oldest !== undefined) this.#noted.delete(oldest)
    const page = await this.#reading(ask, async signal => {
      const keep = (record: ReadRecord): ShownRecord => shownTo(record, { shape: query.shape, caller, bytesMax })
      return await readPage(query, { cluster, admin, matcher, signal, keep })
    })
    return {
      records: page.kept,
      searched: page.searched,
      isComplete: page.positions.size === 0,
      next: page.positions.size === 0 ? null : positionsText(page.positions),
      order: query.from === 'latest' ? 'newestFirst' : 'oldestFirst',
      troubles: page.troubles.map(printableText)
    }
  }

  async #export(ask: Ask): Promise<FastifyReply> {
    const { query, caller, reply } = ask
    needExport(caller)
    const format = query.get('format') ?? 'ndjson'
    if (!isFormat(format)) throw new PipelineError('ERR_CONSOLE_REQUEST', 'format is ndjson or csv')
    const { records } = await this.#page(ask, EXPORT_BYTES, 'records.export')
    const type = format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson; charset=utf-8'
    return download(reply, `${topicOf(query)}.${format}`, type).send(exportText(records, format))
  }

  async #tail(ask: Ask): Promise<unknown> {
    const { caller, reply } = ask
    const query = readRecordsQuery(ask.query)
    const matcher = this.#matcherOf(query, caller)
    const { topic, partition } = query
    const partitions = partition === undefined ? {} : { partitions: [partition] }
    const ranges = await resolveRanges(this.#context.admin, { topics: [topic], ...partitions, isReadCommitted: true })
    await this.#note(caller, 'records.tail', query)
    ask.again()
    const release = this.#tails.take(caller.sessionId)
    try {
      await runTail({ query, ranges, matcher, caller }, openEventStream(reply), this.#context)
    } finally {
      release()
    }
    return reply
  }

  async #record(ask: Ask): Promise<RecordAnswer> {
    const { caller, query } = ask
    const record = await this.#one(ask, 'records.read')
    const facts = readDeadLetter(record)
    const shape = shapeOf(query)
    const how = { shape, caller, bytesMax: RECORD_BYTES }
    if (facts.writer === 'foreign') return { record: shownTo(record, how), letter: null }
    const letter = rowOf({ record, facts }, how)
    return { record: letter.record, letter }
  }

  async #one(ask: Ask, action: string): Promise<ReadRecord> {
    const { query, caller } = ask
    const topic = topicOf(query)
    const partition = numberOf(query, 'partition', { most: PARTITION_MAX })
    const offset = offsetOf(query, 'offset')
    if (partition === undefined || offset === undefined) {
      throw new PipelineError('ERR_CONSOLE_REQUEST', 'partition and offset are needed')
    }
    await this.#note(caller, action, { topic, partition, from: 'offset', fromOffset: offset })
    const { cluster, admin } = this.#context
    return await this.#reading(
      ask,
      async signal => await getRecord({ cluster, admin, at: { topic, partition, offset }, signal })
    )
  }

  /** The bytes of a key, a value or a header as they are: to be saved, never to be shown by the browser itself. */
  async #bytes(ask: Ask): Promise<FastifyReply> {
    const { query, caller, reply } = ask
    needExport(caller)
    const part = query.get('part') ?? 'value'
    const record = await this.#one(ask, 'records.export')
    const [bytes, isHidden] = partOf(record, part)
    if (isHidden(hiddenParts(caller, ...topicsOf(record))))
      throw new PipelineError('ERR_CONSOLE_FORBIDDEN', 'this is hidden from you')
    if (bytes === null) throw new PipelineError('ERR_CONSOLE_NOT_FOUND', `the record has no such ${part}`)
    const place = `${record.topic}-${record.partition}-${record.offset}`
    const name = `${place}.${part.replaceAll(/[^a-z0-9]/gi, '_').slice(0, 60)}`
    return download(reply, `${name}.bin`, 'application/octet-stream').send(bytes)
  }

  async #deadLetters(ask: Ask): Promise<unknown> {
    const { query, caller } = ask
    const topics = this.#letters.topics()
    const topic = query.get('topic') === null ? topics[0] : topicOf(query)
    if (topic === undefined) throw new PipelineError('ERR_CONSOLE_NOT_FOUND', 'no topic of dead letters is known')
    const find = query.get('find') ?? ''
    const asked = readRecordsQuery(new URLSearchParams({ topic, ...(find === '' ? {} : { find }), ...searchOf(query) }))
    const { fromMs: _, toMs: __, ...search } = asked
    await this.#note(caller, 'records.read', { topic, ...(find === '' ? {} : { find }) })
    return await this.#reading(
      ask,
      async signal =>
        await this.#letters.read(
          {
            topic,
            class: query.get('class') ?? undefined,
            origin: query.get('origin') ?? undefined,
            fromMs: numberOf(query, 'fromMs', { most: TIME_MAX }),
            toMs: numberOf(query, 'toMs', { most: TIME_MAX }),
            matcher: this.#matcherOf({ ...search, topic }, caller, true),
            find: JSON.stringify([find, searchOf(query)]),
            shape: shapeOf(query),
            offset: numberOf(query, 'offset', { most: 1_000_000 }) ?? 0,
            limit: numberOf(query, 'limit', { least: 1, most: LETTERS_LIMIT_MAX }) ?? 100
          },
          caller,
          signal
        )
    )
  }

  /** @throws PipelineError `ERR_CONSOLE_FORBIDDEN` for a search in what is hidden, and those of `matcherOf`. */
  #matcherOf(
    query: Partial<ReadQuery> & Pick<ReadQuery, 'topic'>,
    caller: Caller,
    isOfLetters = query.find !== undefined && isMasked(caller) && this.#letters.topics().includes(query.topic)
  ): RecordMatcher | undefined {
    // Dead letters of many topics: what is hidden of one of them could be guessed.
    const hidden = isOfLetters && isMasked(caller) ? ALL_HIDDEN : hiddenParts(caller, query.topic)
    const matcher = matcherOf(query, hidden)
    return matcher === undefined || query.find === undefined || !isMasked(caller) ? matcher : ofSeen(matcher, caller)
  }

  /** Who looked at what; not the text that was searched for, which may be a person's name. */
  async #note(
    { user, role }: Caller,
    action: string,
    { topic, partition, find, from, fromOffset }: Partial<ReadQuery>
  ): Promise<void> {
    const parts = [
      partition === undefined ? '' : `partition ${partition}`,
      from === undefined ? '' : `from ${from === 'offset' ? `offset ${fromOffset}` : from}`,
      find === undefined ? '' : 'with a search'
    ]
    const detail = parts.filter(part => part !== '').join(', ')
    await this.#context.audit.append({
      user,
      role,
      action,
      subject: `topic ${topic}`,
      outcome: 'ok',
      detail,
      undoId: null
    })
  }
}

const ALL_HIDDEN = { key: true, value: true, headers: true } as const

function isMasked({ isMasked: isAny, masks = [] }: Caller): boolean {
  return isAny || masks.length > 0
}

/** Dead letters lie in other topics, too: one whose origin is hidden is found by nothing that stands in it. */
function ofSeen(matcher: RecordMatcher, caller: Caller): RecordMatcher {
  return {
    mayMatch: cursor => matcher.mayMatch(cursor),
    matches: cursor => {
      if (!matcher.matches(cursor)) return false
      if (cursor.headerCount === 0) return true
      const [, ...origins] = topicsOf({ topic: '', headers: cursor.headers() })
      const { key, value, headers } = hiddenParts(caller, ...origins)
      return !key && !value && !headers
    }
  }
}

/** The parameters of a search that lists of dead letters share with lists of records. */
function searchOf(query: URLSearchParams): Record<string, string> {
  const names = ['findIn', 'isPattern', 'isCaseIgnored']
  return Object.fromEntries(names.flatMap(name => (query.has(name) ? [[name, query.get(name) ?? '']] : [])))
}

type HiddenTest = (hidden: ReturnType<typeof hiddenParts>) => boolean

function partOf(record: ReadRecord, part: string): readonly [Buffer | null, HiddenTest] {
  if (part === 'key') return [record.key, ({ key }) => key]
  if (part === 'value') return [record.value, ({ value }) => value]
  const name = /^header:(.{1,1000})$/s.exec(part)?.[1]
  if (name === undefined) throw new PipelineError('ERR_CONSOLE_REQUEST', 'part is key, value or header:<name>')
  return [
    record.headers.find(({ key }) => key === name)?.value ?? null,
    parts => parts.headers || quotesHidden(name, parts)
  ]
}

function needExport({ isExportAllowed }: Caller): void {
  if (!isExportAllowed) throw new PipelineError('ERR_CONSOLE_FORBIDDEN', 'downloads are switched off here')
}

function isFormat(text: string): text is ExportFormat {
  return text === 'ndjson' || text === 'csv'
}

/** Names hold letters, digits, dots, dashes and underscores only, so they need no quoting. */
function download(reply: FastifyReply, name: string, type: string): FastifyReply {
  return reply
    .header('content-type', type)
    .header('content-disposition', `attachment; filename="${name}"`)
    .header('cache-control', 'no-store')
    .header('x-content-type-options', 'nosniff')
}
