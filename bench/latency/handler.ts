/** The module target of the latency benchmark. */

import { took } from './latencies.ts'

/** Gets each payload of the dispatcher. */
export function handler(payload: { readonly messages: readonly { readonly nanos: string }[] }): void {
  for (const message of payload.messages) took(message)
}
