import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { DOCTOR_CHECKS } from '../../../src/ops/doctor/judge.ts'
import { BURN_RULES } from '../../../src/ops/slo/burn-rates.ts'

function guide(name: string): string {
  return readFileSync(join(import.meta.dirname, '../../../docs/guides', name), 'utf8')
}

test('the guide of the doctor has every check, in order, in its own words', () => {
  const rows = guide('doctor.md')
    .split('\n')
    .filter(line => /^\| (?:groups|topics|records|brokers|settings|msk) \|/.test(line))
  assert.deepEqual(
    rows,
    DOCTOR_CHECKS.map(({ area, id, sentence }) => `| ${area} | \`${id}\` | ${sentence} |`)
  )
})

test('the guide of objectives has the burn rates that count', () => {
  const rows = guide('slo-and-alerts.md').matchAll(/^\| ([\d.]+) \| (\d+) (h|d) \|.*\| (page|ticket) \|$/gm)
  const hours = { h: 3_600_000, d: 86_400_000 } as const
  assert.deepEqual(
    [...rows].map(([, rate, length, unit, severity]) => [
      Number(rate),
      Number(length) * (unit === 'd' ? hours.d : hours.h),
      severity
    ]),
    BURN_RULES.map(({ rate, longMs, severity }) => [rate, longMs, severity])
  )
})
