/** The transactions of one producer: its outlet, and the way of chunks into it. */

import type { Cluster } from '../../client/index.ts'
import type { ProducerConfig } from '../../config/index.ts'
import { type Clock, PipelineError, type Random } from '../../core/index.ts'
import type { Logger } from '../../telemetry/index.ts'
import type { EventIntake, Intake } from '../intake.ts'
import { readPositions } from './ingest-state.ts'
import { TransactionOutlet } from './transaction-outlet.ts'
import { TransactionalIntake } from './transactional-intake.ts'

/** What transactions are made of. */
export interface TransactionsOptions {
  readonly delivery: ProducerConfig['delivery']
  readonly openBytesMax: ProducerConfig['openBytesMax']
  readonly cluster: Cluster
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Transactions of a producer, from their settings. */
export class Transactions {
  readonly outlet: TransactionOutlet
  readonly #options: TransactionsOptions
  readonly #settings: NonNullable<ProducerConfig['delivery']['transaction']>
  #intake: TransactionalIntake | undefined

  private constructor(options: TransactionsOptions, settings: NonNullable<ProducerConfig['delivery']['transaction']>) {
    const { delivery, cluster, clock, random, logger } = options
    const { compression, lingerMs, batchBytes, bufferBytes } = delivery
    this.#options = options
    this.#settings = settings
    this.outlet = new TransactionOutlet({
      cluster,
      transactionalId: settings.id,
      transactionTimeoutMs: settings.timeoutMs,
      deliveryTimeoutMs: delivery.timeoutMs,
      compression,
      lingerMs,
      batchBytes,
      bufferBytes,
      clock,
      random,
      logger
    })
  }

  /** The transactions that the settings ask for, if they do. */
  static of(options: TransactionsOptions): Transactions | undefined {
    const { transaction } = options.delivery
    return transaction === undefined ? undefined : new Transactions(options, transaction)
  }

  /** Topic of the positions. */
  get stateTopic(): string {
    return this.#settings.stateTopic
  }

  /** The entrance for sources, once it has started. */
  get intake(): Intake {
    if (this.#intake === undefined) throw new PipelineError('ERR_PRODUCER_DRAINING', 'the producer has not started')
    return this.#intake
  }

  /** The producer ends: no transaction is begun or ended by time any more. */
  stop(): void {
    this.#intake?.stop()
  }

  /**
   * Takes the transactional id over, and reads what its last owner has committed.
   *
   * @throws PipelineError `ERR_PRODUCER_TRANSACTION`, or what the coordinator answered.
   */
  async start(intake: EventIntake): Promise<void> {
    const { cluster, clock, delivery, openBytesMax } = this.#options
    await this.outlet.start()
    const saved = await readPositions(cluster, this.#settings, { clock, timeoutMs: delivery.timeoutMs })
    const settings = this.#settings
    this.#intake = new TransactionalIntake(
      { intake, outlet: this.outlet, settings, bytesMax: Math.min(delivery.bufferBytes, openBytesMax / 2), clock },
      saved
    )
  }
}
