/**
 * What the broker reads of a consumer's subscription: the topics, nothing else.
 * The rest belongs to the client's assignor, and other protocol types
 * (`connect`, `sr`) are opaque and never read.
 *
 * Source: Kafka `ConsumerProtocolSubscription`.
 */

import { PipelineError } from '../../core/index.ts'
import { consumerProtocolSubscriptionCodec, decodeConsumerProtocol } from '../../protocol/index.ts'

/** Topics of a subscription, or `undefined` if the bytes are not one. */
export function subscriptionTopics(subscription: Buffer): readonly string[] | undefined {
  try {
    return decodeConsumerProtocol(consumerProtocolSubscriptionCodec, subscription).topics
  } catch (error) {
    // The bytes come from the client; a group of another language may use its own format.
    if (PipelineError.is(error)) return undefined
    throw error
  }
}
