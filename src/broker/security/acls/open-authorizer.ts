/** From the broker's settings to its authorizer. */

import { type Clock, PipelineError } from '../../../core/index.ts'
import type { Logger } from '../../../telemetry/index.ts'
import type { BrokerSettings } from '../../settings.ts'
import { AclAuthorizer, ALLOW_ALL, type Authorizer, STANDARD_AUTHORIZER, superUsersOf } from './authorizer.ts'

/** Lets ACLs decide who may do what. The same as the settings of Kafka's names, which win where both are given. */
export interface AuthorizerOptions {
  /** Principals that may do everything: `['User:admin']`. Default none. Kafka `super.users`. */
  readonly superUsers?: readonly string[]
  /** Whether what no ACL is about is allowed. Default false. Kafka `allow.everyone.if.no.acl.found`. */
  readonly isAllowedWithoutAcl?: boolean
}

/** The settings that an option stands for. */
export function authorizerSettings(options: AuthorizerOptions | undefined): Record<string, string> {
  if (options === undefined) return {}
  return {
    'authorizer.class.name': STANDARD_AUTHORIZER,
    'super.users': (options.superUsers ?? []).join(';'),
    'allow.everyone.if.no.acl.found': String(options.isAllowedWithoutAcl ?? false)
  }
}

/**
 * Opens the authorizer that the settings name.
 *
 * @throws PipelineError `ERR_BROKER_INVALID_SETTING` for another class than Kafka's StandardAuthorizer or a super user
 *   without a type; `ERR_BROKER_DATA_DAMAGED` if the ACLs in the data folder cannot be read.
 */
export async function openAuthorizer(context: {
  dataDir: string
  settings: BrokerSettings
  clock: Clock
  logger: Logger
}): Promise<Authorizer> {
  const { dataDir, settings, clock, logger } = context
  const className = settings.text('authorizer.class.name').trim()
  if (className === '') return ALLOW_ALL
  const superUsers = settings.text('super.users')
  const problems: string[] = []
  if (className !== STANDARD_AUTHORIZER)
    problems.push(`authorizer.class.name is "${className}": only ${STANDARD_AUTHORIZER} is known`)
  for (const principal of superUsersOf(superUsers))
    if (!/^[^:]+:./.test(principal))
      problems.push(`super.users has "${principal}": a type and a name are expected, such as User:alice`)
  if (problems.length > 0) {
    throw new PipelineError('ERR_BROKER_INVALID_SETTING', `the broker cannot start: ${problems.join('; ')}`, {
      fields: { problems }
    })
  }
  const isAllowedWithoutAcl = settings.isOn('allow.everyone.if.no.acl.found')
  const authorizer = await AclAuthorizer.open({ dataDir, superUsers, isAllowedWithoutAcl, clock, logger })
  const aclCount = authorizer.acls.index.acls.length
  const superUserCount = superUsersOf(superUsers).length
  logger.info({ aclCount, superUserCount, isAllowedWithoutAcl }, 'ACLs decide who may do what')
  if (aclCount + superUserCount === 0 && !isAllowedWithoutAcl)
    logger.warn({}, 'nobody may do anything: name super.users, who then add ACLs')
  return authorizer
}
