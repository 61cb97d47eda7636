/** `comporta records`: reads, searches and counts records, for people and for programs. */

import { type Command, InvalidArgumentError } from 'commander'

import { PipelineError, sleep, systemClock } from '../../core/index.ts'
import type { RecordBound, RecordFormat, RecordMatcher, RecordRange, RecordReader } from '../../ops/index.ts'
import { EXIT } from '../exit-codes.ts'
import {
  type ClusterCommandOptions,
  type OpenCluster,
  withCluster,
  withClusterOptions
} from '../operations/cluster-options.ts'
import { count } from '../operations/format.ts'
import { StreamOutput } from '../operations/output.ts'
import {
  isQueryEmpty,
  parseCount,
  queryOf,
  type QueryOptions,
  type RangeOptions,
  withQueryOptions,
  withRangeOptions
} from '../operations/record-options.ts'
import { jsonLine, tableOf } from '../operations/table.ts'
import { whileRunning } from '../operations/while-running.ts'
import type { CommandAction } from './action.ts'

interface FormatOptions {
  readonly format?: string
  readonly maxChars: number
}

type RecordsOptions = ClusterCommandOptions & RangeOptions & QueryOptions & FormatOptions

interface ReadOptions extends RecordsOptions {
  readonly order?: string
  readonly follow?: boolean
}

interface TailOptions extends RecordsOptions {
  readonly lines: number
  readonly follow?: boolean
}

const EXAMPLES = {
  tail: `
Examples:
  comporta records tail mt-c400
  comporta records tail mt-c400 -n 100 --follow --where vehicle.code=400`,
  read: `
Examples:
  comporta records read mt-c400 --from 2026-03-01T09:00:00Z --to 2026-03-01T10:00:00Z --order time
  comporta records read mt-c400 --partition 3 --from 1000 --limit 20 --json
  comporta records read mt-c400 --format '%T %p@%o %k %s\\n'`,
  search: `
Exit codes: 0 found, 1 nothing found, 75 not all was searched (--timeout), 130 stopped.

Examples:
  comporta records search mt-c400 --contains AB-12-CD --from 2h
  comporta records search mt-c400 mt-c900 --where speed='{"from":120}' --limit 10 --json
  comporta records search dead-letters --in header:comporta-error-reason --regex 'time.?out'`,
  count: `
Examples:
  comporta records count mt-c400 --from 2026-03-01T09:00:00Z --to 2026-03-01T10:00:00Z
  comporta records count mt-c400 --where type=alarm --json`,
  get: `
Examples:
  comporta records get mt-c400-3@1042
  comporta records get mt-c400-3@1042 --format hex`
}

/** Adds the commands. */
export function addRecords(program: Command, action: CommandAction): void {
  const records = program
    .command('records')
    .summary('read, search and count records of topics')
    .description('Reads records without a consumer group: no offset is committed, and nobody is rebalanced.')
    .addHelpText('after', '\nExamples:\n  comporta records tail orders --follow\n  comporta records search --help')
  const shown = (command: Command): Command => withFormatOptions(withClusterOptions(command))
  const tail = records
    .command('tail <topics...>')
    .summary('the last records, and those to come')
    .option('-n, --lines <number>', 'how many, over all partitions', parseCount, 10)
    .option('--follow', 'go on with new records until Ctrl-C')
    .addHelpText('after', EXAMPLES.tail)
  shown(withQueryOptions(withRangeOptions(tail))).action(topicsAction<TailOptions>(action, runTail))
  const read = records
    .command('read <topics...>')
    .summary('records from an offset or a time to another')
    .option('--limit <number>', 'end after so many records', parseCount)
    .option('--order <order>', 'offset: partitions as they come; time: the oldest record of all first', 'offset')
    .option('--follow', 'go on with new records until Ctrl-C')
    .addHelpText('after', EXAMPLES.read)
  shown(withQueryOptions(withRangeOptions(read))).action(topicsAction<ReadOptions>(action, runRead))
  const search = records
    .command('search <topics...>')
    .summary('records that meet conditions')
    .option('--limit <number>', 'end after so many records were found', parseCount)
    .option('--order <order>', 'offset: partitions as they come; time: the oldest record of all first', 'offset')
    .addHelpText('after', EXAMPLES.search)
  shown(withQueryOptions(withRangeOptions(search))).action(topicsAction<ReadOptions>(action, runSearch))
  const counted = records
    .command('count <topics...>')
    .summary('how many records there are, their bytes and times')
    .addHelpText('after', EXAMPLES.count)
  withClusterOptions(withQueryOptions(withRangeOptions(counted))).action(topicsAction<RecordsOptions>(action, runCount))
  const get = records
    .command('get <place>')
    .summary('one record, by <topic>-<partition>@<offset>')
    .addHelpText('after', EXAMPLES.get)
  shown(get).action(action<RecordsOptions>(async (options, place) => await runGet(options, place ?? '')))
}

/** Commander gives a list of names as one argument. */
function topicsAction<O>(
  action: CommandAction,
  run: (options: O, topics: readonly string[]) => Promise<number>
): (this: Command, ...given: unknown[]) => Promise<void> {
  return async function invoke(this: Command, topics: unknown, ...rest: unknown[]): Promise<void> {
    // Commander has declared the argument as a list of texts.
    const names = [...new Set(topics as readonly string[])]
    await action<O>(options => run(options, names)).call(this, ...rest)
  }
}

function withFormatOptions(command: Command): Command {
  return command
    .option(
      '--format <format>',
      "pretty, json, csv, raw, hex, or a template such as '%t %p %o %k %s\\n' (see the guide)"
    )
    .option('--max-chars <number>', 'characters of a key, value or header that pretty shows; 0 = all', parseChars, 500)
}

function parseChars(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It is a whole number from 0 on.')
}

async function runTail(options: TailOptions, topics: readonly string[]): Promise<number> {
  return await reading(options, async ({ open, output, format, signal, matcher, onTrouble }) => {
    const { keptRecord, readLastRecords, recordAt, RecordReader } = await import('../../ops/index.ts')
    const { cluster, admin } = open
    const common = { cluster, onTrouble, signal, isReadCommitted: isReadCommitted(options) }
    const partitions = options.partition === undefined ? {} : { partitions: options.partition }
    const wanted = matcher === undefined ? {} : { matcher }
    const last = await readLastRecords({ admin, topics, count: options.lines, ...common, ...partitions, ...wanted })
    output.write(format.head)
    for (const record of last.records) output.write(format.format(record))
    output.flush()
    if (options.follow !== true || signal.aborted) return EXIT.ok
    const reader = new RecordReader({
      ...common,
      ranges: last.ranges.map(range => ({ ...range, from: range.endOffset, to: undefined })),
      matcher,
      untilRoom: () => {
        output.flush()
        return output.room()
      },
      onRecord: (cursor, range) => {
        output.write(format.format(keptRecord(recordAt(cursor, range))))
        return true
      }
    })
    await reader.run()
    return EXIT.ok
  })
}

async function runRead(options: ReadOptions, topics: readonly string[]): Promise<number> {
  return await reading(options, async around => {
    const { end } = await readInto(around, options, topics)
    return end === 'aborted' && around.isStopped() && options.follow !== true ? EXIT.interrupted : EXIT.ok
  })
}

async function runSearch(options: ReadOptions, topics: readonly string[]): Promise<number> {
  if (isQueryEmpty(queryOf(options))) {
    throw new PipelineError('ERR_CLI_USAGE', 'say what is looked for: --contains, --regex, --key, --header, --where')
  }
  return await reading(options, async around => {
    const { end, found, reader } = await readInto(around, options, topics)
    const share = reader.share === undefined ? '' : `, ${Math.floor(reader.share * 100)} % of the range`
    process.stderr.write(`${count(found)} found in ${count(reader.recordCount)} records${share}\n`)
    if (end === 'aborted' && around.isStopped()) return EXIT.interrupted
    if (end === 'aborted' && !around.output.gone.aborted) return EXIT.incomplete
    return found > 0 ? EXIT.ok : EXIT.failed
  })
}

interface Around {
  readonly open: OpenCluster
  readonly output: StreamOutput
  readonly format: RecordFormat
  readonly matcher: RecordMatcher | undefined
  readonly signal: AbortSignal
  /** Whether it was Ctrl-C that ended it. */
  readonly isStopped: () => boolean
  readonly onTrouble: (text: string) => void
}

async function readInto(
  around: Around,
  options: ReadOptions,
  topics: readonly string[]
): Promise<{ end: string; found: number; reader: RecordReader }> {
  const { open, output, format, matcher, signal, onTrouble } = around
  if (options.order !== 'offset' && options.order !== 'time') {
    throw new PipelineError('ERR_CLI_USAGE', `--order is offset or time, not ${options.order}`)
  }
  if (options.order === 'time' && options.follow === true) {
    throw new PipelineError('ERR_CLI_USAGE', '--order time needs an end: leave out --follow')
  }
  const { recordAt, RecordReader } = await import('../../ops/index.ts')
  const ranges = await rangesOf(open, options, topics)
  const limit = options.limit ?? Number.POSITIVE_INFINITY
  let found = 0
  const reader = new RecordReader({
    cluster: open.cluster,
    ranges,
    isReadCommitted: isReadCommitted(options),
    order: options.order === 'time' ? 'time' : 'arrival',
    matcher,
    onRecord: (cursor, range) => {
      found += 1
      output.write(format.format(recordAt(cursor, range)))
      return found < limit
    },
    untilRoom: () => {
      if (options.follow === true) output.flush()
      return output.room()
    },
    onTrouble,
    signal
  })
  output.write(format.head)
  const end = await withProgress(reader, () => `${count(found)} found`)
  return { end, found, reader }
}

async function runCount(options: RecordsOptions, topics: readonly string[]): Promise<number> {
  return await withCluster('records', options, async open => {
    const { compileQuery, countRecords } = await import('../../ops/index.ts')
    const query = queryOf(options, boundsOf(options))
    const matcher = isQueryEmpty(query) ? undefined : compileQuery(query)
    const ranges = await rangesOf(open, options, topics)
    return await whileRunning(options.timeout, async ({ signal, isStopped }) => {
      const counting = countRecords({
        cluster: open.cluster,
        ranges,
        isReadCommitted: isReadCommitted(options),
        signal,
        onTrouble: warn,
        matcher
      })
      const end = await withProgress(counting.reader, () => `${count(sum(counting.counts(), 'records'))} counted`)
      const counts = counting.counts()
      if (options.json === true) {
        const total = { records: sum(counts, 'records'), bytes: sum(counts, 'bytes') }
        process.stdout.write(jsonLine({ ...total, isComplete: end !== 'aborted', partitions: counts }))
      } else await printCounts(counts)
      if (end !== 'aborted') return EXIT.ok
      return isStopped() ? EXIT.interrupted : EXIT.incomplete
    })
  })
}

async function printCounts(
  counts: readonly {
    topic: string
    partition: number
    records: number
    bytes: number
    oldestMs: number | undefined
    newestMs: number | undefined
  }[]
): Promise<void> {
  const { timeText } = await import('../../ops/index.ts')
  const time = (ms: number | undefined): string => (ms === undefined ? '–' : timeText(ms))
  process.stdout.write(
    tableOf(
      [
        { title: 'partition', text: each => `${each.topic}-${each.partition}` },
        { title: 'records', text: each => count(each.records), align: 'right' },
        { title: 'bytes', text: each => count(each.bytes), align: 'right' },
        { title: 'oldest', text: each => time(each.oldestMs) },
        { title: 'newest', text: each => time(each.newestMs) }
      ],
      counts
    )
  )
  process.stdout.write(`${count(sum(counts, 'records'))} records, ${count(sum(counts, 'bytes'))} bytes\n`)
}

function sum<K extends string>(rows: readonly Readonly<Record<K, number>>[], name: K): number {
  return rows.reduce((total, row) => total + row[name], 0)
}

async function runGet(options: RecordsOptions, place: string): Promise<number> {
  const [, topic, partition, offset] = /^(.+)-(\d{1,9})@(\d{1,19})$/.exec(place) ?? []
  if (topic === undefined) {
    throw new PipelineError('ERR_CLI_USAGE', `${place} is no place of a record: write <topic>-<partition>@<offset>`)
  }
  return await reading({ ...options, timeout: options.timeout ?? 30 }, async ({ open, output, format, signal }) => {
    const { getRecord } = await import('../../ops/index.ts')
    const at = { topic, partition: Number(partition), offset: BigInt(offset ?? 0) }
    const record = await getRecord({ cluster: open.cluster, admin: open.admin, at, signal })
    output.write(format.head)
    output.write(format.format(record))
    return EXIT.ok
  })
}

async function rangesOf(
  { admin }: OpenCluster,
  options: RecordsOptions & { readonly follow?: boolean },
  topics: readonly string[]
): Promise<RecordRange[]> {
  const { resolveRanges } = await import('../../ops/index.ts')
  return await resolveRanges(admin, {
    topics,
    ...(options.partition === undefined ? {} : { partitions: options.partition }),
    ...boundsOf(options),
    isReadCommitted: isReadCommitted(options),
    isFollowing: options.follow === true
  })
}

function boundsOf({ from, to }: RangeOptions): { from?: RecordBound; to?: RecordBound } {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

function isReadCommitted({ isolation }: RangeOptions): boolean {
  return isolation !== 'read_uncommitted'
}

/** Opens everything that a command needs which writes records, and closes it. */
async function reading(options: RecordsOptions, run: (around: Around) => Promise<number>): Promise<number> {
  const { compileQuery, recordFormat } = await import('../../ops/index.ts')
  const name = options.format ?? (options.json === true ? 'json' : 'pretty')
  const format = recordFormat(name, { charsMax: options.maxChars })
  if (format.isRaw && process.stdout.isTTY) {
    const reason = 'may hold bytes that a terminal obeys: send it to a file or a pipe, or use pretty, json or hex'
    throw new PipelineError('ERR_CLI_USAGE', `--format ${name} ${reason}`)
  }
  const query = queryOf(options, boundsOf(options))
  const matcher = isQueryEmpty(query) ? undefined : compileQuery(query)
  return await withCluster('records', options, async open => {
    const output = new StreamOutput()
    return await whileRunning(options.timeout, async ({ signal, isStopped }) => {
      const either = AbortSignal.any([signal, output.gone])
      const code = await run({ open, output, format, matcher, signal: either, isStopped, onTrouble: warn })
      await output.end()
      return code
    })
  })
}

function warn(text: string): void {
  process.stderr.write(`warning: ${text}\n`)
}

/** Runs a reader; after a second a line on standard error, every two seconds one more. */
async function withProgress(reader: RecordReader, what: () => string): Promise<string> {
  const done = new AbortController()
  const startedMs = systemClock.monotonicMs()
  const show = async (): Promise<void> => {
    while (await sleep(systemClock, 2000, done.signal)) {
      const seconds = (systemClock.monotonicMs() - startedMs) / 1000
      const share = reader.share === undefined ? '' : `${Math.floor(reader.share * 100)} %: `
      const rate = `${count(Math.round(reader.recordCount / seconds))} records/s`
      process.stderr.write(`${share}${count(reader.recordCount)} records, ${rate}, ${what()}\n`)
    }
  }
  const showing = show()
  try {
    return await reader.run()
  } finally {
    done.abort()
    await showing
  }
}
