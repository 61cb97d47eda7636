/** An embedded broker and a raw connection for tests of the broker room. */

import type { TestContext } from 'node:test'
import { type Broker, type BrokerOptions, startBroker } from '../../src/broker/index.ts'
import type { Logger, LogFields } from '../../src/telemetry/index.ts'
import { RawConnection } from '../support/raw-connection.ts'

/** A broker that ends with the test; groups form at once. */
export async function brokerFor(t: TestContext, options: BrokerOptions = {}): Promise<Broker> {
  const config = { 'group.initial.rebalance.delay.ms': '0', ...options.config }
  const broker = await startBroker({ ...options, config })
  t.after(() => broker.close())
  return broker
}

/** A connection to the broker that ends with the test. */
export function connectTo(t: TestContext, broker: Broker): Promise<RawConnection> {
  return RawConnection.open(t, { bootstrapServers: broker.bootstrapServers })
}

/** A logger that keeps its lines. */
export class RecordingLogger implements Logger {
  readonly lines: { level: string; fields: LogFields; message: string }[] = []
  #wake: () => void = () => undefined

  debug(fields: LogFields, message: string): void {
    this.#add('debug', fields, message)
  }

  info(fields: LogFields, message: string): void {
    this.#add('info', fields, message)
  }

  warn(fields: LogFields, message: string): void {
    this.#add('warn', fields, message)
  }

  error(fields: LogFields, message: string): void {
    this.#add('error', fields, message)
  }

  child(): Logger {
    return this
  }

  /** Resolves when a line at `level` has a field or message with the text. */
  async until(level: string, text: string): Promise<void> {
    const isThere = (): boolean =>
      this.lines.some(line => line.level === level && `${JSON.stringify(line.fields)} ${line.message}`.includes(text))
    while (!isThere()) await new Promise<void>(resolve => (this.#wake = resolve))
  }

  #add(level: string, fields: LogFields, message: string): void {
    this.lines.push({ level, fields, message })
    this.#wake()
  }
}
