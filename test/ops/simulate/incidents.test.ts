/** The users' two incidents: what the post-mortem says, and what the simulator makes of it. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import {
  parseSimulation,
  simulationConfig,
  type SimulationConfig,
  simulationSeconds
} from '../../../src/config/index.ts'
import { INCIDENTS } from '../../../src/ops/simulate/incidents.ts'
import { simulate } from '../../../src/ops/simulate/simulate.ts'
import { withSettings } from '../../../src/ops/simulate/what-if.ts'

function incident(name: string): SimulationConfig {
  return parseSimulation(INCIDENTS[name] ?? '', { fileName: name, environment: {} })
}

function withWhatIf(scenario: SimulationConfig, name: string, settings = {}): ReturnType<typeof simulate> {
  const found = scenario.whatIfs.find(each => each.name === name)
  assert.ok(found !== undefined, name)
  return simulate(withSettings(scenario, { ...found.set, ...settings }))
}

/** Seconds from 10:00. */
const at = (time: string): number => simulationSeconds(time, '10:00')

test('the files of the examples are those that come with the package', () => {
  for (const [name, text] of Object.entries(INCIDENTS)) {
    const path = new URL(`../../../examples/simulate/${name}.yaml`, import.meta.url)
    assert.equal(text, readFileSync(path, 'utf8'), name)
  }
})

test('the post-mortem’s timeline happens again, line by line', () => {
  const { summary, timeline, series } = simulate(incident('incident-lag'))
  const isNear = (seconds: number | undefined, time: string, minutes = 2): void => {
    assert.ok(seconds !== undefined && Math.abs(seconds - at(time)) <= minutes * 60, `${time}, but ${seconds} s`)
  }
  const first = (kind: string, text = /./): number | undefined =>
    timeline.find(moment => moment.kind === kind && text.test(moment.text))?.atS
  isNear(first('event', /restart of 3 instances/), '10:13', 0)
  isNear(first('rebalance', /begins/), '10:14', 1)
  isNear(first('target'), '10:15', 0)
  // "Lag grows quickly": by more than 500 records a second, where it did not before.
  const grows = timeline.find(({ kind, atS }) => kind === 'lag' && atS > at('10:15'))?.atS
  isNear(grows, '10:18', 1)
  isNear(summary.alerts[0]?.atS, '10:25')
  isNear(first('scale'), '10:30')
  isNear(timeline.findLast(({ text }) => text.startsWith('rebalance complete'))?.atS, '10:42')
  isNear(summary.normalAtS, '11:00')
  assert.ok(Math.abs(summary.peakLag - 1_200_000) <= 120_000, `peak ${summary.peakLag}`)
  // "Up to 8 minutes."
  assert.ok(summary.delayMaxS > 6 * 60 && summary.delayMaxS <= 8 * 60, `longest ${summary.delayMaxS}`)
  // "120 ms → 950 ms", before and in the middle.
  const msAt = (time: string): number => {
    const index = series.timesS.findIndex(timeS => timeS >= at(time))
    const part = series.targetMs.slice(index, index + 12)
    return part.reduce((sum, ms) => sum + ms, 0) / part.length
  }
  assert.ok(Math.abs(msAt('10:10') - 120) < 12, `${msAt('10:10')}`)
  assert.ok(Math.abs(msAt('10:25') - 950) < 50, `${msAt('10:25')}`)
  // "No record was lost", "a few were processed twice".
  assert.equal(summary.lost, 0)
  assert.equal(summary.consumed + summary.lagAtEnd, summary.produced)
  assert.ok(summary.duplicates > 0 && summary.duplicates < 0.001 * summary.produced)
})

test('what would have helped, and what would not', () => {
  const scenario = incident('incident-lag')
  const quickly = { mode: 'fluid', sampleS: 15 }
  const asGiven = simulate(withSettings(scenario, quickly)).summary
  const peakOf = (name: string): number => withWhatIf(scenario, name, quickly).summary.peakLag
  // The target was the bottleneck, not the deploy: rolling alone changes little.
  assert.ok(peakOf('rolling update, one instance a minute') > 0.8 * asGiven.peakLag)
  assert.ok(peakOf('batches of up to 2,000 while behind') < 0.5 * asGiven.peakLag)
  assert.ok(peakOf('autoscaling at lag 50,000, three at a time') < 0.5 * asGiven.peakLag)
  assert.ok(peakOf('breaker, invocations cut off at 500 ms') > 5 * asGiven.peakLag)
  const urgent = withWhatIf(scenario, 'the urgent fifth, with two consumers of its own', quickly).summary
  assert.ok(urgent.delayMaxS < 10, `${urgent.delayMaxS}`)
  const all = withWhatIf(scenario, 'rolling, cooperative, up to 2,000, four at once', quickly).summary
  assert.ok(all.delayMaxS < 10 && all.duplicates === 0, `${all.delayMaxS} s, ${all.duplicates}`)
})

test('three million records at ten a second take 83 hours', () => {
  const { summary } = simulate(incident('incident-backlog'))
  // 3,000,000 / 10 = 300,000 s.
  assert.ok(Math.abs((summary.drainedAtS ?? 0) - 300_000) <= 300, `${summary.drainedAtS}`)
  assert.equal(summary.consumed, 3_000_000)
})

test('all of it in one batch does not fit, takes too long, or is deleted meanwhile; caps and comporta drain it', () => {
  const scenario = incident('incident-backlog')
  const whole = withWhatIf(scenario, 'as it was, everything in one batch').summary
  // 3,000,000 × 2 KB = 6 GB, and there are 5.
  assert.ok(whole.outOfMemory > 0)
  assert.equal(whole.consumed, 0)
  const larger = withWhatIf(scenario, 'memory for 8 GB, timeout of 120 s').summary
  assert.equal(larger.outOfMemory, 0)
  assert.ok(larger.cancelledBatches > 0 && larger.consumed === 0)
  const deleted = withWhatIf(scenario, 'as it is drained, 100 a second come in').summary
  // 36,000,000 come in 100 h and 3,600,000 are done; about 10 GB stay, 5,000,000 records.
  const expected = 3_000_000 + 36_000_000 - 3_600_000 - 5_000_000
  assert.ok(Math.abs(deleted.lost - expected) < 0.03 * expected, `${deleted.lost}`)
  const capped = withWhatIf(scenario, 'four cores, at 2,000 a second, capped').summary
  assert.ok((capped.drainedAtS ?? Infinity) <= 2100, `${capped.drainedAtS}`)
  const comporta = withWhatIf(scenario, 'comporta, order by key, ten at once').summary
  // Ten batches of 500 a second, and 100 come: 3,000,000 / 4,900 = 612 s.
  assert.ok((comporta.drainedAtS ?? Infinity) <= 900)
  assert.equal(comporta.lost, 0)
  assert.ok(comporta.memoryPeakBytes < 200e6)
  const skipped = withWhatIf(scenario, 'offsets reset to the end, as it was solved').summary
  assert.ok(skipped.skipped > 2_900_000)
})

test('flows and events agree within 2 %', () => {
  const scenario = withSettings(incident('incident-lag'), { 'target.spread': 'none' })
  const [exact, fluid] = (['exact', 'fluid'] as const).map(mode => simulate(withSettings(scenario, { mode })).summary)
  assert.ok(exact !== undefined && fluid !== undefined)
  const isWithin = (name: keyof typeof exact, ratio = 0.02): void => {
    const error = Number(fluid[name]) / Number(exact[name]) - 1
    assert.ok(Math.abs(error) <= ratio, `${name}: ${(error * 100).toFixed(2)} %`)
  }
  isWithin('peakLag')
  isWithin('peakLagSeconds')
  isWithin('delayMeanS')
  isWithin('lagMean')
  isWithin('invocations')
  isWithin('targetSeconds')
  assert.ok(Math.abs((exact.normalAtS ?? 0) - (fluid.normalAtS ?? 0)) <= 30)
})

test('the decision core of comporta scale can be put in the place of a policy', () => {
  const scenario = withSettings(incident('incident-lag'), { mode: 'fluid', sampleS: 15, normalLagS: 10 })
  const { timeline, summary } = withWhatIf(scenario, 'comporta scale, ten instances at least')
  assert.ok(timeline.some(({ kind, text }) => kind === 'scale' && text.startsWith('comporta: 10 →')))
  assert.ok(summary.instancesPeak > 10 && summary.lost === 0)
})

test('a day at a million a second takes little time, and the program’s own policy may scale', () => {
  const asked: number[] = []
  const scenario = simulationConfig({
    duration: '24h',
    arrival: {
      curve: [
        { at: 0, recordsPerSecond: 700_000 },
        { at: '12h', recordsPerSecond: 1_300_000 },
        { at: '24h', recordsPerSecond: 700_000 }
      ],
      keys: { type: 'codeAndTruck' }
    },
    topic: { partitions: 400 },
    group: { instances: 40, concurrency: 16, order: 'key' },
    target: { baseMs: 60, perRecordUs: 100 },
    autoscale: { policy: 'hook', everyS: 600, bootS: 120 }
  })
  const result = simulate(scenario, {
    decide: view => {
      const wanted = Math.ceil((view.arrivalPerSecond + view.lag / 300) / view.perInstancePerSecond / 0.8)
      asked.push(wanted)
      return Math.max(view.instances, wanted)
    }
  })
  assert.equal(result.mode, 'fluid')
  assert.ok(asked.length >= 143)
  assert.ok(result.summary.produced > 86e9 && result.summary.instancesPeak < 40 + 400)
  assert.ok(result.steps < 20_000, `${result.steps} steps`)
})
