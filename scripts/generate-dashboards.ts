/**
 * Writes the templates in `infra/dashboards/` and the alerts' section of the runbook: what `comporta dashboards` makes
 * for any pipeline. `npm run docs:dashboards`; a test holds what is committed against it.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { genericFiles, withAlerts } from './dashboards/generated-files.ts'

const root = join(import.meta.dirname, '..')

for (const { path, content } of genericFiles()) {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), content)
}
const runbook = join(root, 'docs/guides/runbook.md')
await writeFile(runbook, withAlerts(await readFile(runbook, 'utf8')))
