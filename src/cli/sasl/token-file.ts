/**
 * A bearer token from a file, read for every authentication: whoever writes it keeps it fresh, as Kubernetes does with
 * projected tokens of service accounts.
 */

import { readFile } from 'node:fs/promises'

import { type Clock, messageOf } from '../../core/index.ts'
import { unreachable, unusable } from '../certificates/problem.ts'
import { lifeOfToken } from './json-web-token.ts'

const path = ['sasl', 'tokenFile']

/**
 * Reads the token.
 *
 * @throws PipelineError `ERR_CONFIG_CREDENTIALS` if it is no token, `ERR_CLI_CREDENTIALS_UNREACHABLE` if it cannot be
 *   read or has ended.
 */
export async function readTokenFile(file: string, clock: Clock): Promise<string> {
  let token: string
  try {
    token = (await readFile(file, 'utf8')).trim()
  } catch (error) {
    throw unreachable(path, `${file} cannot be read: ${messageOf(error)}`, error)
  }
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw unusable([{ path, reason: `${file} ${token === '' ? 'is empty' : 'has more in it than one token'}` }])
  }
  const life = lifeOfToken(token)
  if (life !== undefined && life.expiresAtMs <= clock.now()) {
    const when = new Date(life.expiresAtMs).toISOString()
    throw unreachable(path, `the token in ${file} ended at ${when}: whoever writes the file must renew it`)
  }
  return token
}
