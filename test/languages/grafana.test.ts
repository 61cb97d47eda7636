/**
 * Dashboards against the types that Grafana publishes of its model, of its panels and of their options: the nearest to
 * a schema that there is. Its enums are made unions of their values first, since JSON has no enums.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { SAMPLE } from '../../scripts/dashboards/generated-files.ts'
import { boardsOf, grafanaDashboard } from '../../src/ops/index.ts'
import { builtOnce } from '../support/built-once.ts'
import { runProcess } from '../support/child-process.ts'

const SCHEMA = '@grafana/schema@13.2.3'
const folder = join(import.meta.dirname, '../../.cache/languages/grafana-13.2.3')
const types = './node_modules/@grafana/schema/dist/types/raw'
const tsc = join(import.meta.dirname, '../../node_modules/.bin/tsc')

/** Names of panels and of their types. */
const PANELS: Readonly<Record<string, string>> = {
  timeseries: 'timeseries',
  heatmap: 'heatmap',
  'state-timeline': 'statetimeline',
  stat: 'stat'
}

async function install(): Promise<void> {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
  await runProcess('npm', ['install', ...flags, SCHEMA], { timeoutMs: 120_000 })
  for (const name of globSync('node_modules/@grafana/schema/dist/types/**/*.d.ts', { cwd: folder })) {
    const file = join(folder, name)
    const text = readFileSync(file, 'utf8')
    const unions = text.replaceAll(/export declare enum (\w+) \{([^}]*)\}/g, (_, type: string, body: string) => {
      const values = [...body.replaceAll(/\/\*[^]*?\*\//g, '').matchAll(/=\s*([^,\s]+)/g)].map(([, value]) => value)
      return `export type ${type} = ${values.join(' | ')};`
    })
    if (unions !== text) writeFileSync(file, unions)
  }
}

interface Panel {
  readonly type: string
  readonly options?: unknown
  readonly fieldConfig?: { readonly defaults: { readonly custom: unknown } }
}

/** A program whose types are right if the dashboards are. */
function programOf(): string {
  const names = Object.values(PANELS)
  const lines = [
    `import type { Dashboard, Panel, RowPanel, VariableModel } from '${types}/dashboard/x/types.gen.d.ts'`,
    ...names.map(name => `import type * as ${name} from '${types}/composable/${name}/panelcfg/x/types.gen.d.ts'`),
    // Grafana writes it beside the query, and its type leaves it out.
    'type Variable = VariableModel & { definition?: string }'
  ]
  for (const board of boardsOf(SAMPLE)) {
    const text = grafanaDashboard(board, SAMPLE)
    const { panels, templating } = JSON.parse(text) as { panels: Panel[]; templating: { list: unknown[] } }
    const { templating: _, ...rest } = JSON.parse(text) as Record<string, unknown>
    lines.push(`;(${JSON.stringify(rest)}) satisfies Dashboard`)
    for (const each of templating.list) lines.push(`;(${JSON.stringify(each)}) satisfies Variable`)
    for (const panel of panels) {
      const { type, options, fieldConfig } = panel
      lines.push(`;(${JSON.stringify(panel)}) satisfies ${type === 'row' ? 'RowPanel' : 'Panel'}`)
      const name = PANELS[type]
      if (name === undefined) continue
      lines.push(`;(${JSON.stringify(options)}) satisfies Partial<${name}.Options>`)
      const custom = JSON.stringify(fieldConfig?.defaults.custom)
      if (type !== 'stat') lines.push(`;(${custom}) satisfies Partial<${name}.FieldConfig>`)
    }
  }
  return `${lines.join('\n')}\n`
}

test('every dashboard, variable, panel and option has the types that Grafana publishes', async () => {
  await builtOnce(folder, install)
  const program = join(folder, 'dashboards.ts')
  writeFileSync(program, programOf())
  const flags = ['--strict', '--noEmit', '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'bundler']
  const { status, stdout } = spawnSync(
    tsc,
    [...flags, '--types', '', '--allowImportingTsExtensions', '--ignoreConfig', program],
    {
      cwd: folder,
      encoding: 'utf8'
    }
  )
  assert.equal(status, 0, stdout.slice(0, 4000))
})
