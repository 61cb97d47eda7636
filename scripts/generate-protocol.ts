/**
 * Generates src/protocol/generated/ from the message definitions in Apache
 * Kafka's jars. Needs Maven, Java 17 and unzip.
 *
 *     npx --no node scripts/generate-protocol.ts            # write
 *     npx --no node scripts/generate-protocol.ts --check    # exit 1 if something would change
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Message, parseMessage } from './protocol/definition.ts'
import { emitApi, emitData, emitErrors, emitIndex, type Module } from './protocol/emit-module.ts'
import { fetchJars, readDefinitions, runJava } from './protocol/maven.ts'

const OUT = join(import.meta.dirname, '..', 'src', 'protocol', 'generated')

/** Keys of the APIs that a client or a broker with clients needs; inter-broker and controller APIs are left out. */
const API_KEYS: readonly (readonly [first: number, last: number])[] = [
  [0, 3],
  [8, 37],
  [42, 51],
  [55, 55],
  [57, 57],
  [60, 61],
  [65, 66],
  [68, 69],
  [71, 72],
  [74, 79],
  [88, 92]
]

const DATA = [
  'ConsumerProtocolSubscription',
  'ConsumerProtocolAssignment',
  'EndTxnMarker',
  'ControlRecordTypeSchema',
  'OffsetCommitKey',
  'OffsetCommitValue',
  'LegacyOffsetCommitKey',
  'LegacyOffsetCommitValue',
  'GroupMetadataKey',
  'GroupMetadataValue',
  'ConsumerGroupMetadataKey',
  'ConsumerGroupMetadataValue',
  'ConsumerGroupMemberMetadataKey',
  'ConsumerGroupMemberMetadataValue',
  'ConsumerGroupTargetAssignmentMetadataKey',
  'ConsumerGroupTargetAssignmentMetadataValue',
  'ConsumerGroupTargetAssignmentMemberKey',
  'ConsumerGroupTargetAssignmentMemberValue',
  'ConsumerGroupCurrentMemberAssignmentKey',
  'ConsumerGroupCurrentMemberAssignmentValue',
  'ConsumerGroupRegularExpressionKey',
  'ConsumerGroupRegularExpressionValue',
  'TransactionLogKey',
  'TransactionLogValue'
]

function isWanted(key: number | undefined): boolean {
  return key !== undefined && API_KEYS.some(([first, last]) => key >= first && key <= last)
}

function generate(): Map<string, string> {
  const jars = fetchJars()
  try {
    const messages = new Map<string, Message>()
    for (const text of readDefinitions(jars).values()) {
      const message = parseMessage(text)
      messages.set(message.name, message)
    }
    const find = (name: string): Message => {
      const message = messages.get(name)
      if (message === undefined) throw new Error(`no definition of ${name}`)
      return message
    }
    // A removed API keeps its definition with no valid version.
    const requests = [...messages.values()]
      .filter(
        message =>
          message.type === 'request' && isWanted(message.apiKey) && message.versions.low <= message.versions.high
      )
      .toSorted((a, b) => (a.apiKey ?? 0) - (b.apiKey ?? 0))
    const modules: Module[] = [
      ...requests.map(request => emitApi(request, find(request.name.replace(/Request$/, 'Response')))),
      ...DATA.map(name => emitData(find(name))),
      emitErrors(runJava(jars, 'DumpErrors.java'))
    ]
    const files = new Map(modules.map(module => [module.fileName, module.text]))
    return files.set('index.ts', emitIndex(modules))
  } finally {
    jars.close()
  }
}

const files = generate()
if (process.argv.includes('--check')) {
  const stale = [...files]
    .filter(([name, text]) => readFileSync(join(OUT, name), 'utf8') !== text)
    .map(([name]) => name)
  if (stale.length > 0) throw new Error(`generated files are stale: ${stale.join(', ')}`)
} else {
  mkdirSync(OUT, { recursive: true })
  for (const name of readdirSync(OUT)) if (!files.has(name)) rmSync(join(OUT, name))
  for (const [name, text] of files) writeFileSync(join(OUT, name), text)
}
console.log(`${files.size} files in src/protocol/generated/`)
