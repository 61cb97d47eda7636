/** The price list that a command goes by. */

import type { CostConfig } from '../../config/index.ts'
import type { PriceList } from '../../ops/index.ts'
import { readInput } from '../properties.ts'

/**
 * That of the flag, of the pipeline file, or the dated one of the package.
 *
 * @throws PipelineError `ERR_OPS_PRICES_INVALID`, `ERR_CLI_INPUT` of the file.
 */
export async function priceListOf(section: CostConfig, given?: string): Promise<PriceList> {
  const { PRICES, readPriceList } = await import('../../ops/index.ts')
  const path = given ?? section.prices
  return path === undefined ? PRICES : readPriceList(readInput(path), path)
}
