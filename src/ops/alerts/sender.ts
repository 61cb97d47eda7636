/** Where alerts go: the contract of a sender, and what all that speak HTTP share. */

import { type Clock, messageOf, PipelineError } from '../../core/index.ts'
import type { Severity } from '../slo/burn-rates.ts'
import type { AlertMessage } from './message.ts'

/** Delivers one message at a time. */
export interface AlertSender {
  /** For logs: kind and place in the file, never an address with a secret in it. */
  readonly name: string
  /** Severities that it is for. */
  readonly severities: readonly Severity[]
  /**
   * @throws PipelineError `ERR_OPS_ALERT_FAILED`; `retriable` if another try may help.
   */
  send(message: AlertMessage, signal: AbortSignal): Promise<void>
  close(): void
}

/** A request. */
export interface PostRequest {
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
}

/** Statuses that say "later" beside 5xx. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429])

/**
 * Posts JSON. Redirects are refused: they would carry the signature elsewhere.
 *
 * @throws PipelineError `ERR_OPS_ALERT_FAILED`. Addresses of chat systems are secrets: no message has one.
 */
export async function post({ name, url, headers, body, signal }: PostRequest): Promise<void> {
  let response: Response
  try {
    const all = { 'content-type': 'application/json', 'user-agent': 'comporta', ...headers }
    response = await fetch(url, { method: 'POST', headers: all, body, signal, redirect: 'error' })
  } catch (error) {
    throw failed(`${name} cannot be reached: ${causeOf(error, url)}`, true)
  }
  // The answer is of no interest, but unread it would keep the connection.
  await response.body?.cancel()
  if (response.ok) return
  const { status } = response
  throw failed(`${name} answered ${status}`, status >= 500 || LATER.has(status))
}

/** An error of a sender. */
export function failed(message: string, retriable: boolean): PipelineError {
  return new PipelineError('ERR_OPS_ALERT_FAILED', message, { retriable })
}

/** What the platform says is in the cause; its own message is "fetch failed". */
function causeOf(error: unknown, url: string): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined
  // Of a request that cannot even be made the message quotes the header: its value may be a secret.
  if (cause === undefined && error instanceof TypeError) return 'its address or a header is not one that can be sent'
  const text = typeof code === 'string' ? code : messageOf(cause ?? error)
  return text.replaceAll(url, '…')
}

/** What senders are made with. */
export interface SenderContext {
  readonly clock: Clock
}
