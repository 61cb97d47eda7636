/**
 * The senders: webhook with a signature, Slack-compatible incoming webhook, SNS, lines on a stream.
 *
 * Signature of a webhook: `x-comporta-signature: t=<seconds>,v1=<hex>`, where hex
 * is HMAC-SHA256 over `<seconds>.<body>` with the secret. Who receives it should
 * compare in constant time, and refuse times that are minutes away.
 */

import { createHmac } from 'node:crypto'

import type { SNSClient } from '@aws-sdk/client-sns'

import { type Clock, messageOf } from '../../core/index.ts'
import type { Severity } from '../slo/burn-rates.ts'
import { type AlertMessage, headlineOf, textOfAlert } from './message.ts'
import { type AlertSender, failed, post } from './sender.ts'

interface SenderBase {
  readonly name: string
  readonly severities: readonly Severity[]
}

/** A webhook. */
export interface WebhookOptions extends SenderBase {
  readonly url: string
  /** Key of the signature; without it nothing is signed. */
  readonly secret?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly clock: Clock
}

/** Posts the message as JSON. */
export function webhookSender({ name, severities, url, secret, headers = {}, clock }: WebhookOptions): AlertSender {
  return {
    name,
    severities,
    async send(message, signal) {
      const body = JSON.stringify(message)
      const signed = secret === undefined ? {} : { 'x-comporta-signature': signatureOf(secret, body, clock.now()) }
      await post({ name, url, headers: { ...headers, ...signed }, body, signal })
    },
    close: () => undefined
  }
}

/** The value of the header `x-comporta-signature`. */
export function signatureOf(secret: string, body: string, nowMs: number): string {
  const time = Math.floor(nowMs / 1000)
  return `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`
}

/** An incoming webhook of Slack, or of what takes the same: Mattermost, Rocket.Chat, Discord with `/slack`. */
export function slackSender({ name, severities, url }: SenderBase & { readonly url: string }): AlertSender {
  return {
    name,
    severities,
    send: (message, signal) => post({ name, url, headers: {}, body: JSON.stringify(slackBody(message)), signal }),
    close: () => undefined
  }
}

const colours = { page: '#c0392b', ticket: '#e67e22', resolved: '#27ae60' } as const

function slackBody(message: AlertMessage): unknown {
  const colour = colours[message.status === 'resolved' ? 'resolved' : message.severity]
  // `text` is what notifications show; the attachment has the colour.
  return { text: escaped(headlineOf(message)), attachments: [{ color: colour, text: escaped(textOfAlert(message)) }] }
}

/** Slack reads `<…>` and `&` as markup: a topic's name must not become a mention. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** A topic of Amazon SNS. */
export interface SnsOptions extends SenderBase {
  readonly topicArn: string
  readonly region?: string | undefined
  readonly endpoint?: string | undefined
}

/** Publishes to SNS: text for people, with attributes to filter by. The SDK is loaded at the first message. */
export function snsSender({ name, severities, topicArn, region, endpoint }: SnsOptions): AlertSender {
  let client: SNSClient | undefined
  return {
    name,
    severities,
    async send(message, signal) {
      const { PublishCommand, SNSClient: Client } = await import('@aws-sdk/client-sns')
      client ??= new Client({
        region: region ?? topicArn.split(':')[3] ?? 'us-east-1',
        ...(endpoint === undefined ? {} : { endpoint })
      })
      const attribute = (value: string): { DataType: 'String'; StringValue: string } => ({
        DataType: 'String',
        StringValue: value
      })
      const command = new PublishCommand({
        TopicArn: topicArn,
        Subject: headlineOf(message),
        Message: textOfAlert(message),
        MessageAttributes: {
          severity: attribute(message.severity),
          status: attribute(message.status),
          key: attribute(message.key.slice(0, 256))
        }
      })
      try {
        await client.send(command, { abortSignal: signal })
      } catch (error) {
        throw failed(`${name}: ${messageOf(error)}`, isWorthAnotherTry(error))
      }
    },
    close: () => client?.destroy()
  }
}

/** What AWS refuses for the request's sake it refuses again. */
function isWorthAnotherTry(error: unknown): boolean {
  const fault: unknown = error instanceof Error ? Reflect.get(error, '$fault') : undefined
  const isThrottled = error instanceof Error && /Thrott|TooMany/.test(error.name)
  return fault !== 'client' || isThrottled
}

/** Writes a JSON line for each message. */
export function lineSender(options: SenderBase & { readonly write: (line: string) => void }): AlertSender {
  const { name, severities, write } = options
  return {
    name,
    severities,
    send(message) {
      write(`${JSON.stringify(message)}\n`)
      return Promise.resolve()
    },
    close: () => undefined
  }
}
