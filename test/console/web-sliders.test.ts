/** A place on a slider and its number belong together, whatever magnitudes it spans. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { simulateSchema } from '../../src/console/insight/simulate-view.ts'
import { SLIDERS, stepOf, STEPS, valueAt } from '../../src/console/web/pages/simulate/sliders.ts'

test('both ends of every slider are its limits, and what the server takes', () => {
  for (const end of [0, STEPS]) {
    const request = Object.fromEntries(SLIDERS.map(slider => [slider.name, valueAt(slider, end)]))
    for (const slider of SLIDERS) assert.equal(request[slider.name], end === 0 ? slider.min : slider.max, slider.name)
    assert.equal(simulateSchema.safeParse(request).success, true)
  }
})

test('a number is shown at the step that gives it, or next to it', () => {
  for (const slider of SLIDERS) {
    for (let step = 0; step <= STEPS; step++) {
      const value = valueAt(slider, step)
      assert.equal(valueAt(slider, stepOf(slider, value)), value, `${slider.name} at ${step}`)
    }
  }
})

test('more of the way never gives less, and what lies outside is kept at the end', () => {
  for (const slider of SLIDERS) {
    for (let step = 1; step <= STEPS; step++) assert.ok(valueAt(slider, step) >= valueAt(slider, step - 1))
    assert.equal(stepOf(slider, slider.max * 10), STEPS)
    assert.equal(stepOf(slider, slider.min - 1), 0)
  }
})
