/** `producer.key:` and `producer.partitioner:` — what becomes the key of a record. */

import { z } from 'zod'

import { readTextTemplate } from '../../core/index.ts'
import { integer } from './common.ts'

const fieldName = z.string().min(1).max(1000)

const subKeys = z
  .strictObject({
    keys: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .max(10_000)
      .describe('Hot keys, as text: of the key (before it is hashed), or of `field` if that is given.'),
    field: fieldName.optional().describe('Field whose text is looked for in `keys`. Default: the key itself.'),
    count: integer(2, 1024).describe('How many keys there are instead of the one.'),
    by: z
      .union([z.literal('roundRobin'), z.strictObject({ field: fieldName })])
      .default('roundRobin')
      .describe('What chooses among them: in turn, or the hash of a field, whose values keep their order then.')
  })
  .describe(
    'Hot keys become several: `400` becomes `400#0` to `400#7` with a `count` of 8, to use as many partitions. ' +
      'The order of a hot key is lost: it holds only within each `#n`.'
  )

const shared = { subKeys: subKeys.optional() }

const template = z
  .string()
  .min(1)
  .max(10_000)
  .superRefine((text, context) => {
    const read = readTextTemplate(text)
    if (typeof read === 'string') context.addIssue({ code: 'custom', message: read })
    else if (read.fields.length === 0) {
      context.addIssue({ code: 'custom', message: 'names no field: every record would have the same key' })
    }
  })
  .describe('Text with fields in braces: `{codigo}-{truck_id}`. `{{` and `}}` are the braces themselves.')

/** `producer.key:` */
export const keySchema = z
  .discriminatedUnion('strategy', [
    z.strictObject({ strategy: z.literal('field'), field: z.string().min(1), ...shared }),
    z.strictObject({
      strategy: z.literal('fields'),
      fields: z.array(z.string().min(1)).min(1),
      separator: z.string().default('|'),
      ...shared
    }),
    z.strictObject({ strategy: z.literal('hash'), fields: z.array(z.string().min(1)).min(1), ...shared }),
    z.strictObject({ strategy: z.literal('template'), template, ...shared }),
    z.strictObject({ strategy: z.literal('none') })
  ])
  .describe('The record’s key. The key alone decides the partition, as in Kafka’s Java client.')

/** `producer.partitioner:` */
export const partitionerSchema = z
  .strictObject({
    file: z.string().min(1).describe('A module whose `partition` export gets topic, key and partition count.')
  })
  .describe(
    'An escape hatch that chooses partitions by hand. Other producers of the topic then put the same keys elsewhere, ' +
      'and every increase of partitions is yours to handle. Default: the key decides.'
  )
