/**
 * What kind of cluster it is. MSK is told by the names of its brokers; whether brokers are Standard or Express, and
 * their size, only AWS says (kafka:DescribeClusterV2).
 */

import { messageOf } from '../../core/index.ts'
import { known, type Known, type ProfileFact, unknown } from './facts.ts'

/** Which cluster of AWS it is. */
export interface MskQuestion {
  readonly arn: string
  /** Default: that of the ARN. */
  readonly region?: string | undefined
  /** Address of the service instead of AWS's own. */
  readonly endpoint?: string | undefined
}

/** The profile, from addresses alone. */
export function profileOfAddresses(addresses: readonly string[]): ProfileFact {
  const serverless = addresses.find(address => /\.kafka-serverless\.[a-z0-9-]+\.amazonaws\.com/i.test(address))
  if (serverless !== undefined) return { profile: 'serverless', evidence: `address ${serverless}` }
  const msk = addresses.find(address => /\.kafka\.[a-z0-9-]+\.amazonaws\.com/i.test(address))
  // Standard and Express brokers have names of the same form; Standard is what most have.
  if (msk !== undefined) return { profile: 'standard', evidence: `address ${msk}` }
  return { profile: 'self', evidence: 'no address of Amazon MSK' }
}

/** Asks AWS, where an ARN is given. */
export async function profileOf(
  addresses: readonly string[],
  question: MskQuestion | undefined
): Promise<Known<ProfileFact>> {
  if (question === undefined) return known(profileOfAddresses(addresses))
  const { arn, endpoint } = question
  const region = question.region ?? arn.split(':')[3]
  try {
    const { DescribeClusterV2Command, KafkaClient } = await import('@aws-sdk/client-kafka')
    const client = new KafkaClient({
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint })
    })
    try {
      const { ClusterInfo: info } = await client.send(new DescribeClusterV2Command({ ClusterArn: arn }))
      const evidence = `${arn}: ${info?.ClusterType ?? 'unknown type'}`
      if (info?.ClusterType === 'SERVERLESS') return known({ profile: 'serverless', evidence })
      const instanceType = info?.Provisioned?.BrokerNodeGroupInfo?.InstanceType
      const profile = instanceType?.startsWith('express.') === true ? 'express' : 'standard'
      return known({ profile, evidence: `${evidence}, ${instanceType ?? 'unknown size'}`, instanceType })
    } finally {
      client.destroy()
    }
  } catch (error) {
    return unknown(`AWS does not say what ${arn} is: ${messageOf(error)}; it needs kafka:DescribeClusterV2`)
  }
}
