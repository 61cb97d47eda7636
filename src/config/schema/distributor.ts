/** `lambda.functions.<name>.distributor:` — options of the function that comes with the package. */

import { z } from 'zod'

import { headerProblem, readFieldCondition } from '../../core/index.ts'
import { httpUrl, integer, milliseconds, type Report } from './common.ts'
import { enrichSchema, observabilitySchema } from './distributor-enrichment.ts'
import {
  eventBridgeTargetSchema,
  kinesisTargetSchema,
  snsTargetSchema,
  sqsTargetSchema
} from './distributor-targets-aws.ts'
import { idempotencySchema } from './distributor-idempotency.ts'
import { httpTargetSchema, sinkRetrySchema } from './distributor-targets-http.ts'
import {
  dynamoDbTargetSchema,
  kafkaTargetSchema,
  lambdaTargetSchema,
  s3TargetSchema,
  stepFunctionsTargetSchema
} from './distributor-targets-more.ts'

const targetName = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'not printable ASCII without spaces')
  .refine(name => name !== 'deadLetter' && name !== 'skip', 'this name has a meaning of its own')

/** One target, by its type. */
const target = z.discriminatedUnion('type', [
  httpTargetSchema,
  sqsTargetSchema,
  snsTargetSchema,
  eventBridgeTargetSchema,
  kinesisTargetSchema,
  stepFunctionsTargetSchema,
  dynamoDbTargetSchema,
  s3TargetSchema,
  lambdaTargetSchema,
  kafkaTargetSchema
])

const targetNames = z.array(z.string()).min(1).describe('Names of targets. Several are a fan-out.')

const fieldConditions = z.array(z.unknown()).superRefine((list, context) => {
  readFieldCondition(list, (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))
})

const route = z.union([
  z.strictObject({
    values: z
      .array(z.union([z.string(), z.number()]))
      .min(1)
      .describe('Values of the field. Numbers and their text are equal.'),
    targets: targetNames
  }),
  z.strictObject({
    when: z
      .record(z.string().min(1), fieldConditions)
      .refine(when => Object.keys(when).length > 0, 'names no field; `otherwise` is for all other events')
      .describe(
        'For each field (dots for nested ones, also of what `enrich` adds) what its text may be: values, ranges ' +
          '`{ from, to }`, and the operators prefix, suffix, equals-ignore-case, wildcard, anything-but and exists. ' +
          'One of a list must match, and every field that is named.'
      ),
    targets: targetNames
  })
])

/** Options of `builtin:distributor`. */
export const distributorSchema = z
  .strictObject({
    field: z
      .string()
      .min(1)
      .default('codigo')
      .describe('Field of the event that `values` are compared with, dots for nested ones.'),
    targets: z
      .record(targetName, z.union([httpUrl, target]))
      .refine(targets => Object.keys(targets).length > 0, 'at least one target is needed')
      .describe('Where records go, by name: an HTTP address, or an object with a `type`.'),
    routes: z
      .array(route)
      .default([])
      .describe('Which events go where. An event goes to the targets of all routes that take it, to each once.'),
    otherwise: z
      .union([z.literal(['deadLetter', 'skip']), z.array(z.string()).min(1)])
      .default('deadLetter')
      .describe('Targets for events that no route takes, or `deadLetter`, or `skip`.'),
    order: z
      .enum(['key', 'partition'])
      .default('key')
      .describe(
        'What waits behind a record that must be tried again: the later ones of its key, or all, at the same target.'
      ),
    timeoutMs: milliseconds(100, 900_000).default(5000).describe('Longest wait for one answer of a target.'),
    retry: sinkRetrySchema.optional(),
    reserveMs: milliseconds(0, 900_000)
      .optional()
      .describe('Kept free at the end of an invocation: no request goes on past it. Default 250.'),
    recordsMax: integer(1, 100_000)
      .optional()
      .describe('Most records in one request to any target. Default: each target’s own limit.'),
    bytesMax: integer(1, 104_857_600)
      .optional()
      .describe('Most bytes of records in one request to any target. Default: each target’s own limit.'),
    bisectRequestsMax: integer(1, 100_000)
      .optional()
      .describe('Most requests that look for bad records at one target, once the first is found. Default 200.'),
    idempotency: idempotencySchema.optional(),
    enrich: enrichSchema.optional(),
    observability: observabilitySchema.optional()
  })
  .describe('Options of the function that comes with the package: `handler: builtin:distributor`.')

/** Options of `builtin:distributor` as read. */
export type DistributorConfig = z.infer<typeof distributorSchema>

/** Reports names of targets that there are none of. */
export function checkDistributor(options: DistributorConfig, path: PropertyKey[], report: Report): void {
  const { targets, routes, otherwise } = options
  const check = (names: readonly string[], ...place: PropertyKey[]): void => {
    for (const name of new Set(names)) {
      if (!Object.hasOwn(targets, name)) report([...path, ...place], `"${name}" is not one of targets`)
    }
  }
  for (const [index, route] of routes.entries()) check(route.targets, 'routes', index, 'targets')
  if (Array.isArray(otherwise)) check(otherwise, 'otherwise')
  for (const [name, target] of Object.entries(targets)) {
    if (typeof target === 'string' || target.type !== 'http') continue
    for (const [header, value] of Object.entries(target.headers ?? {})) {
      const problem = headerProblem(header, typeof value === 'string' ? value : '')
      if (problem !== undefined) report([...path, 'targets', name, 'headers', header], problem)
    }
  }
}
