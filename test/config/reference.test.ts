/** Reference pages that are generated, or checked against the code. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startBroker } from '../../src/broker/index.ts'
import { noopMeter } from '../../src/telemetry/index.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function check(script: string): void {
  const result = spawnSync(process.execPath, [`${root}/scripts/${script}`, '--check'], { encoding: 'utf8' })
  assert.equal(result.stderr, '')
  assert.equal(result.status, 0)
}

test('the reference page and the JSON Schema of the pipeline file are current', () => {
  check('generate-config-reference.ts')
})

test('the reference page of the command line is current', () => {
  check('generate-cli-reference.ts')
})

test('the page of metrics names those that the code makes, and no others', () => {
  const namesIn = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(match => match[1] ?? '')
  const source = globSync('src/**/*.ts', { cwd: root }).map(file => readFileSync(`${root}/${file}`, 'utf8'))
  const made = source.flatMap(text => namesIn(text, /'(comporta\.(?:producer|dispatcher|lambda|kafka)\.[a-z_.]+)'/g))
  const page = readFileSync(`${root}/docs/reference/metrics.md`, 'utf8')
  const listed = namesIn(page, /^\| `(comporta\.[a-z_.]+)`/gm)
  assert.deepEqual(listed.toSorted(), [...new Set(made)].toSorted())
})

test('the page of metrics names those of the broker, and no others', async t => {
  const made: string[] = []
  // Every instrument of the broker is made at its start: a meter that notes the names knows them all.
  const noting = new Proxy(noopMeter, {
    get: (meter, property) => {
      const create: unknown = Reflect.get(meter, property)
      if (typeof create !== 'function') return create
      return (name: string, ...rest: unknown[]): unknown => {
        made.push(name)
        return Reflect.apply(create, meter, [name, ...rest])
      }
    }
  })
  const broker = await startBroker({ meter: noting })
  t.after(() => broker.close())
  const page = readFileSync(`${root}/docs/reference/metrics.md`, 'utf8')
  const listed = [...page.matchAll(/^\| `(kafka_[a-z_]+)`/gm)].map(match => match[1] ?? '')
  // Those of the exporter are names of the lag endpoint.
  const isBrokers = (name: string): boolean => !name.startsWith('kafka_consumergroup_')
  assert.deepEqual(listed.filter(isBrokers).toSorted(), made.toSorted())
  const endpoint = readFileSync(`${root}/src/ops/keda/lag-endpoint.ts`, 'utf8')
  const served = [...new Set(endpoint.match(/kafka_consumergroup_[a-z_]+|burrow_kafka_[a-z_]+/g))]
  for (const name of served) assert.ok(page.includes(`\`${name}\``), name)
})
