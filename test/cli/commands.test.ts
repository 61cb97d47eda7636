import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { cliReference } from '../../scripts/generate-cli-reference.ts'
import { hostedComporta, runComporta, temporaryFolder } from '../support/comporta.ts'

const hosted = hostedComporta()

test('help lists every command, and every command has help with examples', async () => {
  const [overview, fault] = await Promise.all([hosted(['--help']), hosted(['lambda', 'fault', '--help'])])
  assert.equal(overview.exitCode, 0)
  assert.equal(fault.exitCode, 0)
  assert.match(fault.stdout, /Examples:\n {2}comporta lambda fault/)
  const [, , ...sections] = cliReference().split(/^## (?=comporta)/m)
  for (const section of sections) {
    const [title = ''] = section.split('\n')
    const [, command = ''] = title.split(' ')
    assert.match(overview.stdout, new RegExp(`^  ${command}\\b`, 'm'))
    assert.match(section, /Examples:\n {2}(?:comporta|echo|cat|COMPORTA)/, title)
  }
})

test('the version is the one of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  assert.equal((await runComporta(['--version'])).stdout, `${version}\n`)
})

test('a misspelt command or option ends with 64 and says what was meant', async () => {
  const unknown = await hosted(['chek'])
  assert.equal(unknown.exitCode, 64)
  assert.match(unknown.stderr, /Did you mean check\?/)
  for (const args of [
    ['demo', '--records', 'x'],
    ['demo', '--rate', '-1'],
    ['broker', '--port', '70000'],
    ['demo', '--nope'],
    ['check', '--log-level', 'loud', '--file', 'x']
  ]) {
    const { exitCode, stderr } = await hosted(args)
    assert.ok(exitCode === 64 || exitCode === 78, `${args.join(' ')}: ${exitCode}`)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
  assert.match((await hosted(['broker', '--nope'])).stderr, /see comporta broker --help/)
})

test('init writes a pipeline that check finds sound, and never replaces a file unasked', async t => {
  const cwd = temporaryFolder(t)
  assert.equal((await hosted(['init'], { cwd })).exitCode, 0)
  const check = await hosted(['check'], { cwd })
  assert.equal(check.exitCode, 0)
  assert.match(check.stdout, /comporta\.yaml is sound/)
  const again = await hosted(['init'], { cwd })
  assert.equal(again.exitCode, 64)
  assert.match(again.stderr, /--force/)
  assert.equal((await hosted(['init', '--force'], { cwd })).exitCode, 0)
})

test('a wrong pipeline file ends every command that needs it with 78 and every problem at its line', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'comporta.yaml'), 'name: X\nkafka: { bootstrapServers: "nowhere" }\nprodcer: {}\n')
  for (const command of [['check'], ['up'], ['dispatch'], ['produce'], ['lambda'], ['produce', '-']]) {
    const { exitCode, stderr } = await hosted(command, { cwd })
    assert.equal(exitCode, 78, command.join(' '))
    assert.match(stderr, /3 problems/)
    assert.match(stderr, /comporta\.yaml:3:1 prodcer: no such setting; did you mean producer\?/)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
})

test('check names the files of the dispatcher that are not there, at their lines', async t => {
  const cwd = temporaryFolder(t)
  const text = `name: x
kafka: { bootstrapServers: "a:1" }
dispatcher:
  groupId: g
  topics: [t]
  deadLetterTopic: d
  target: { type: module, file: absent.mjs }
  transform: { file: there.mjs }
`
  writeFileSync(join(cwd, 'there.mjs'), '')
  writeFileSync(join(cwd, 'comporta.yaml'), text)
  const { exitCode, stderr } = await hosted(['check'], { cwd })
  assert.equal(exitCode, 78)
  assert.match(stderr, /1 problem\n {2}comporta\.yaml:7:27 dispatcher\.target\.file: there is no file .*absent\.mjs/)
})

test('problems are JSON for programs that ask for it', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'comporta.yaml'), 'name: X\nkafka: { bootstrapServers: "a:1" }\n')
  const { stderr } = await hosted(['check', '--json'], { cwd })
  const { error } = JSON.parse(stderr) as {
    error: { code: string; problems: { path: string; place: { line: number } }[] }
  }
  assert.equal(error.code, 'ERR_CONFIG_INVALID')
  assert.deepEqual(
    error.problems.map(problem => [problem.path, problem.place.line]),
    [['name', 1]]
  )
})

test('a command whose section is missing says so', async t => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'comporta.yaml'), 'name: x\nkafka: { bootstrapServers: "127.0.0.1:1" }\n')
  for (const [command, section] of [
    ['dispatch', 'dispatcher'],
    ['lambda', 'lambda'],
    ['produce', 'producer']
  ] as const) {
    const { exitCode, stderr } = await hosted([command], { cwd })
    assert.equal(exitCode, 78)
    assert.match(stderr, new RegExp(`no section "${section}:"`))
  }
})

test('a file of events that is not there ends with 65', async t => {
  const cwd = temporaryFolder(t)
  await hosted(['init'], { cwd })
  const { exitCode, stderr } = await hosted(['ingest', 'absent.ndjson'], { cwd })
  assert.equal(exitCode, 65)
  assert.match(stderr, /cannot read absent\.ndjson/)
})

test('Kafka that cannot be reached ends with 69 and its address', async t => {
  const cwd = temporaryFolder(t)
  await hosted(['init'], { cwd })
  writeFileSync(join(cwd, 'events.ndjson'), '{"codigo":300,"truck_id":"T-1"}\n')
  const env = { KAFKA_BOOTSTRAP: '127.0.0.1:1', COMPORTA_KAFKA__CONNECT_TIMEOUT_MS: '500' }
  for (const args of [['ingest', 'events.ndjson'], ['dispatch']]) {
    const { exitCode, stderr } = await runComporta(args, { cwd, env })
    assert.equal(exitCode, 69, args[0])
    assert.match(stderr, /127\.0\.0\.1:1/)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
})
