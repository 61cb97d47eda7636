/** `comporta cost refresh`: a price list from AWS's own. */

import type { Command } from 'commander'

import { messageOf, PipelineError, systemClock } from '../../core/index.ts'
import type { OfferName } from '../../ops/index.ts'
import type { CommonOptions } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { jsonLine } from '../operations/table.ts'
import { writeOutput } from '../package/write-output.ts'
import type { CommandAction } from './action.ts'

interface RefreshOptions extends CommonOptions {
  readonly region: string
  readonly out: string
  readonly from: string
}

const downloadMs = 120_000
/** The largest offer of the three has some ten megabytes. */
const bytesMax = 200_000_000

/** Adds the command under `cost`. */
export function addCostRefresh(cost: Command, action: CommandAction): void {
  cost
    .command('refresh')
    .summary('write a price list from AWS’s own')
    .description(
      'Downloads AWS’s public offers of MSK, Lambda and Fargate for a region (without credentials) and writes a ' +
        'dated price list. Machines of EC2 and transfer keep the prices of the package.'
    )
    .option('--region <name>', 'region of AWS', 'us-east-1')
    .option('--out <file>', 'where to write the list', 'prices.json')
    .option('--from <address>', 'where the offers are', 'https://pricing.us-east-1.amazonaws.com')
    .addHelpText('after', '\nExamples:\n  comporta cost refresh --region sa-east-1 --out prices.json')
    .action(action(refresh))
}

async function refresh(options: RefreshOptions): Promise<number> {
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(options.region)) {
    throw new PipelineError('ERR_CLI_USAGE', `${options.region} is not a region of AWS, such as eu-west-1`)
  }
  const { offerPath, PRICES, readOffer, refreshPrices } = await import('../../ops/index.ts')
  const load = async (service: OfferName): Promise<ReturnType<typeof readOffer>> => {
    process.stderr.write(`reading AWS’s prices of ${service} in ${options.region}\n`)
    return readOffer(await download(`${options.from}${offerPath(service, options.region)}`), service)
  }
  const offers = {
    AmazonMSK: await load('AmazonMSK'),
    AWSLambda: await load('AWSLambda'),
    AmazonECS: await load('AmazonECS')
  }
  const date = new Date(systemClock.now()).toISOString().slice(0, 10)
  const { prices, missing, changed } = refreshPrices(offers, PRICES, { region: options.region, date })
  await writeOutput(options.out, `${JSON.stringify(prices, undefined, 2)}\n`)
  if (options.json === true) process.stdout.write(jsonLine({ file: options.out, changed, missing }))
  else {
    process.stdout.write(
      `${options.out}: prices of ${options.region} on ${date}, ${changed} differ from the package’s\n`
    )
    for (const name of missing) process.stdout.write(`  not in AWS’s list, kept as it was: ${name}\n`)
  }
  return EXIT.ok
}

async function download(url: string): Promise<string> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(downloadMs) })
    if (!answer.ok) throw new Error(`it answered ${answer.status}`)
    if (Number(answer.headers.get('content-length') ?? 0) > bytesMax) throw new Error('it is larger than expected')
    return await answer.text()
  } catch (cause) {
    const hint = 'is the name of the region right, and is there a way to the internet?'
    throw new PipelineError('ERR_CLI_PRICES', `cannot read ${url}: ${messageOf(cause)}; ${hint}`, { cause })
  }
}
