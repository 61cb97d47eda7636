/**
 * A disk that is really full and one that is really read-only: a file system of
 * a few megabytes in a mount namespace of its own. Needs root on Linux.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { createTopicsApi, fetchApi, produceApi, RecordBatchBuilder, RecordCursor } from '../../src/protocol/index.ts'
import { spawnBound } from '../support/child-process.ts'
import { RawConnection } from '../support/raw-connection.ts'

const TOPIC = 'kept'
const STORAGE_ERROR = 56
const SCRIPT = path.join(import.meta.dirname, 'logging-broker-process.ts')

const probe = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs -o size=64k tmpfs /mnt && nsenter --version'])
const skip = probe.status === 0 ? false : 'needs root, unshare, nsenter and tmpfs to make a small disk'

/** A small file system that only those see who are told where. */
class SmallDisk {
  readonly folder: string
  readonly #holder: ChildProcess

  private constructor(folder: string, holder: ChildProcess) {
    this.folder = folder
    this.#holder = holder
  }

  static async mount(t: TestContext, sizeMb: number): Promise<SmallDisk> {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'comporta-disk-'))
    const script = 'mount -t tmpfs -o size="$1"m tmpfs "$0" && echo ready && cat'
    const holder = spawnBound('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script, folder, String(sizeMb)])
    t.after(async () => {
      holder.kill('SIGKILL')
      await fs.rm(folder, { recursive: true, force: true })
    })
    assert.ok(holder.stdout)
    await once(holder.stdout, 'data')
    return new SmallDisk(folder, holder)
  }

  /** Runs a command where the disk is seen. */
  run(...command: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync('nsenter', [...this.#enter, ...command], { encoding: 'utf8' })
    assert.equal(status, 0, `${command.join(' ')}: ${stderr}`)
    return stdout
  }

  get #enter(): string[] {
    return ['-t', String(this.#holder.pid), '-m']
  }

  /** Starts a broker on a folder of it. */
  async broker(t: TestContext): Promise<DiskBroker> {
    const args = [...this.#enter, process.execPath, SCRIPT, path.join(this.folder, 'data')]
    const child = spawnBound('nsenter', args)
    t.after(() => child.kill('SIGKILL'))
    const lines: string[] = []
    assert.ok(child.stdout && child.stderr)
    createInterface(child.stderr).on('line', line => lines.push(line))
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const cluster = JSON.parse(line) as { bootstrapServers: string }
    return new DiskBroker(child, lines, await RawConnection.open(t, cluster))
  }
}

/** A broker on a small disk, with a connection to it. */
class DiskBroker {
  readonly lines: string[]
  readonly #child: ChildProcess
  readonly #connection: RawConnection

  constructor(child: ChildProcess, lines: string[], connection: RawConnection) {
    this.#child = child
    this.lines = lines
    this.#connection = connection
  }

  async createTopic(name: string): Promise<number | undefined> {
    const topics = [
      { name, numPartitions: 1, replicationFactor: 1, configs: [{ name: 'segment.bytes', value: '1048576' }] }
    ]
    const answer = await this.#connection.request(createTopicsApi, { version: 4, message: { topics, timeoutMs: 9000 } })
    return answer.topics[0]?.errorCode
  }

  /** Appends one record of 100 kB that begins with its number. Answers the error code. */
  async produce(number: number): Promise<number | undefined> {
    const builder = new RecordBatchBuilder()
    builder.tryAppend(1_700_000_000_000, null, Buffer.from(`${number}/`.padEnd(100_000, 'x')))
    const topicData = [{ name: TOPIC, partitionData: [{ index: 0, records: builder.build() }] }]
    const message = { acks: -1, timeoutMs: 9000, topicData }
    const answer = await this.#connection.request(produceApi, { version: 7, message })
    return answer.responses[0]?.partitionResponses[0]?.errorCode
  }

  /** Numbers of all records in order. */
  async numbers(): Promise<number[]> {
    const numbers: number[] = []
    const cursor = new RecordCursor()
    for (let offset = 0n; ;) {
      const partitions = [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 1_000_000 }]
      const message = { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, topics: [{ topic: TOPIC, partitions }] }
      const answer = await this.#connection.request(fetchApi, { version: 11, message })
      const found = answer.responses[0]?.partitions[0]
      assert.equal(found?.errorCode, 0)
      if ((found?.records?.length ?? 0) === 0) return numbers
      cursor.reset(found?.records ?? Buffer.alloc(0))
      while (cursor.nextBatch()) {
        while (cursor.nextRecord()) {
          numbers.push(Number(cursor.value()?.toString().split('/')[0]))
          offset = cursor.offset() + 1n
        }
      }
    }
  }

  /** Errors it has logged. */
  get errors(): string[] {
    return this.lines.filter(line => line.includes('"level":50'))
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await once(this.#child, 'close')
  }
}

/** Appends until the disk takes no more. Answers the numbers that were acknowledged. */
async function fill(broker: DiskBroker, from = 0): Promise<number[]> {
  const acknowledged: number[] = []
  for (let number = from; number < from + 200; number++) {
    const code = await broker.produce(number)
    if (code === STORAGE_ERROR) return acknowledged
    assert.equal(code, 0)
    acknowledged.push(number)
  }
  throw new Error('the disk did not get full')
}

test(
  'a full disk refuses appends, says once what to do, and takes them again when there is space',
  { skip },
  async t => {
    const disk = await SmallDisk.mount(t, 8)
    disk.run('sh', '-c', `head -c 2000000 /dev/zero > ${disk.folder}/ballast`)
    const broker = await disk.broker(t)
    assert.equal(await broker.createTopic(TOPIC), 0)

    const acknowledged = await fill(broker)
    for (let number = 1000; number < 1010; number++) assert.equal(await broker.produce(number), STORAGE_ERROR)
    const topicCode = await broker.createTopic('another')

    assert.ok(acknowledged.length > 20)
    assert.ok(topicCode === STORAGE_ERROR || topicCode === 0, `creating a topic answers ${topicCode}`)
    assert.deepEqual(await broker.numbers(), acknowledged)
    const told = broker.errors.filter(line => line.includes('free space'))
    assert.equal(told.length, 1, broker.errors.join('\n'))
    assert.match(told[0] ?? '', /ENOSPC.*the disk of the data folder is full/)

    disk.run('rm', path.join(disk.folder, 'ballast'))
    assert.equal(await broker.produce(500), 0)
    assert.ok(broker.lines.some(line => line.includes('takes writes again')))
    assert.deepEqual(await broker.numbers(), [...acknowledged, 500])
    const more = await fill(broker, 501)
    await broker.kill()

    disk.run('sh', '-c', `rm -rf ${disk.folder}/data/another-0`)
    disk.run('mount', '-o', 'remount,size=12m', disk.folder)
    const again = await disk.broker(t)
    assert.deepEqual(await again.numbers(), [...acknowledged, 500, ...more])
    assert.equal(await again.produce(2000), 0)
    await again.kill()
  }
)

test(
  'a read-only disk refuses what needs a new file, says what to do, and takes it when it is writable',
  { skip },
  async t => {
    const disk = await SmallDisk.mount(t, 8)
    const broker = await disk.broker(t)
    assert.equal(await broker.createTopic(TOPIC), 0)
    assert.equal(await broker.produce(0), 0)
    disk.run('mount', '--bind', disk.folder, disk.folder)
    disk.run('mount', '-o', 'remount,ro,bind', disk.folder)

    // Files that are open stay writable on Linux: the segment goes on up to its end.
    const acknowledged = await fill(broker, 1)

    assert.equal(await broker.createTopic('another'), STORAGE_ERROR)
    assert.deepEqual(await broker.numbers(), [0, ...acknowledged])
    assert.ok(
      broker.errors.some(line => /EROFS.*read-only.*mount it writable again/.test(line)),
      broker.errors.join('\n')
    )

    disk.run('umount', disk.folder)
    assert.equal(await broker.produce(500), 0)
    assert.deepEqual(await broker.numbers(), [0, ...acknowledged, 500])
    await broker.kill()
    const again = await disk.broker(t)
    assert.deepEqual(await again.numbers(), [0, ...acknowledged, 500])
    await again.kill()
  }
)
