/** `producer.route:` — which topic an event goes to. */

import { z } from 'zod'

import { compileEventPattern, readFieldCondition } from '../../core/index.ts'
import { integer, milliseconds, topicName } from './common.ts'
import { eventCheckSchema } from './producer-validation.ts'

const fieldName = z.string().min(1).max(1000)

const fieldValue = z.union([z.string(), z.number(), z.boolean()])

const range = z
  .strictObject({ from: z.number(), to: z.number() })
  .describe('All numbers from `from` to `to`, both included.')

const condition = z
  .strictObject({
    fields: z
      .record(
        fieldName,
        z.array(z.unknown()).superRefine((list, context) => {
          readFieldCondition(list, (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))
        })
      )
      .optional()
      .describe(
        'For each field (dots for nested ones) what its text may be: values, ranges `{ from, to }` of which an end ' +
          'may be left out, and the operators prefix, suffix, equals-ignore-case, wildcard, anything-but and exists. ' +
          'One of a list must match. Numbers and their text are equal.'
      ),
    value: z
      .record(z.string(), z.unknown())
      .superRefine((pattern, context) => {
        compileEventPattern(pattern, (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))
      })
      .optional()
      .describe('Event pattern over the whole event, as in Amazon EventBridge. The event is parsed for it.')
  })
  .refine(({ fields = {}, value }) => Object.keys(fields).length > 0 || value !== undefined, {
    error: 'names neither a field nor a pattern; leave `when` out for a rule that takes every event'
  })
  .describe('All that is named must match.')

const share = z.strictObject({
  topic: topicName,
  weight: z.number().min(0).max(1_000_000).describe('Part of the keys that go there, against the sum of all weights.')
})

const rule = z
  .strictObject({
    name: z.string().min(1).max(100).optional().describe('Name of the rule, for messages. Default: its number.'),
    when: condition.optional().describe('Default: every event.'),
    topic: topicName.optional().describe('Where its events go.'),
    to: z
      .array(share)
      .min(2)
      .max(16)
      .optional()
      .describe(
        'Several topics with weights: a canary. The hash of the record’s key decides: a key keeps to one side, and a ' +
          'larger weight moves keys to its topic only. Records without a key are spread evenly.'
      ),
    priority: z.string().min(1).optional().describe('Its events go to the topic that `priorities` gives this name.'),
    validate: eventCheckSchema
      .optional()
      .describe('What its events must be. Default: what `producer.validate.topics` says of their topic.')
  })
  .superRefine(({ topic, to, priority }, context) => {
    const count = [topic, to, priority].filter(each => each !== undefined).length
    if (count !== 1) context.addIssue({ code: 'custom', message: 'needs exactly one of topic, to and priority' })
    const topics = (to ?? []).map(each => each.topic)
    if (new Set(topics).size < topics.length) {
      context.addIssue({ code: 'custom', path: ['to'], message: 'names a topic twice' })
    }
    if (to !== undefined && to.every(each => each.weight === 0)) {
      context.addIssue({ code: 'custom', path: ['to'], message: 'has no weight above 0: no event could go anywhere' })
    }
  })

const split = z
  .strictObject({
    field: fieldName.optional().describe('Field whose text decides, dots for nested ones. Default: the record’s key.'),
    heavy: z.array(fieldValue).max(10_000).default([]).describe('What goes to the heavy topic; all else to the light.'),
    topics: z.strictObject({ heavy: topicName, light: topicName })
  })
  .describe('Heavy and light topic instead of the one that is routed to.')

const detector = z
  .strictObject({
    mode: z
      .enum(['report', 'move'])
      .default('report')
      .describe(
        '`report` tells of heavy hitters in status, metrics and log. `move` also sends them to the heavy topic of ' +
          'their split, from a moment on at which nothing is unacknowledged. Across topics there is no order: what ' +
          'lies in the light topic may be read after what is in the heavy one. Moved values stay until the process ' +
          'ends.'
      ),
    topics: z.array(topicName).min(1).optional().describe('Topics that are watched. Default: all that are routed to.'),
    field: fieldName
      .optional()
      .describe('What is counted in topics without a split with a field of its own. Default: the record’s key.'),
    share: z
      .number()
      .min(0.001)
      .max(0.5)
      .default(0.05)
      .describe('From this share of a topic’s events on a value is a heavy hitter.'),
    counters: integer(10, 10_000)
      .default(256)
      .describe('Values counted per topic. A count is too high by at most events / counters, and never too low.'),
    windowMs: milliseconds(1000, 3_600_000)
      .default(60_000)
      .describe('At the end of each window it is decided what is heavy, and all counts are halved.'),
    eventsMin: integer(1, 1_000_000_000)
      .default(1000)
      .describe('With fewer events counted in a topic nothing is decided.'),
    movedMax: integer(1, 10_000).default(100).describe('Most values that are moved per topic.')
  })
  .describe('Finds values that make up much of a topic, by the space-saving sketch of Metwally et al. Default: off.')

const common = {
  split: z
    .record(topicName, split)
    .optional()
    .describe('For each topic that is routed to, how its events are divided between a heavy and a light topic.'),
  detector: detector.optional()
}

const single = z.strictObject({ topic: topicName, ...common }).describe('Every event to one topic.')

const byField = z
  .strictObject({
    field: fieldName.describe('Field of the event, dots for nested ones: `vehicle.code`.'),
    topics: z
      .record(topicName, z.array(z.union([fieldValue, range])).min(1))
      .describe('For each topic the values of the field that go there. Numbers and their text are equal.'),
    otherwise: topicName.optional().describe('Topic for every other value. Default: the dead letter topic.'),
    ...common
  })
  .describe('Which topic an event goes to.')

const byRules = z
  .strictObject({
    rules: z.array(rule).min(1).max(500).describe('The first rule that matches an event decides.'),
    priorities: z
      .record(z.string().min(1), topicName)
      .default({})
      .describe('For each priority the topic of its domain: `high: high_priority_events`.'),
    otherwise: topicName
      .optional()
      .describe('Topic for events that no rule takes, unknown codes for example. Default: the dead letter topic.'),
    ...common
  })
  .describe('Rules in order, the first that matches decides.')

/** `producer.route:` */
export const routeSchema = z.union([single, byField, byRules])
