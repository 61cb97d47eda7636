/**
 * How a Kubernetes API is reached: from within the cluster by the pod's service
 * account, from without by a kubeconfig with a token, a client certificate or an
 * exec plugin (as EKS, GKE and AKS use them).
 *
 * Certificates are always verified: `insecure-skip-tls-verify` is refused, and
 * plain HTTP is for this machine only (`kubectl proxy`). Tokens of files are read
 * again for each request, because Kubernetes renews them in place; those of a
 * plugin are kept until shortly before they end.
 * Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ and
 * https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
 */

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve } from 'node:path'

import { parse } from 'yaml'

import { briefMessageOf, type Clock, PipelineError } from '../../core/index.ts'

/** Environment variables. */
export type Variables = Readonly<Record<string, string | undefined>>

/** Where to look for an access. */
export interface KubeAccessOptions {
  /** A kubeconfig. Default: `KUBECONFIG`, then the pod's service account, then `~/.kube/config`. */
  readonly kubeconfig?: string | undefined
  /** Context of the kubeconfig. Default: its current one. */
  readonly context?: string | undefined
  readonly environment: Variables
  readonly clock: Clock
  /** Folder of the service account's files. Default: Kubernetes' own. */
  readonly serviceAccountDir?: string | undefined
}

/** What a request carries. */
export interface KubeCredentials {
  readonly token?: string
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
}

/** An access. */
export interface KubeAccess {
  /** `https://host:port`, without a slash at the end. */
  readonly server: string
  /** Certificate of the authority; `undefined` = those of Node. */
  readonly ca: string | Buffer | undefined
  /** Name in the server's certificate, where it is not the host. */
  readonly servername: string | undefined
  /** Namespace that it names; `undefined` = none. */
  readonly namespace: string | undefined
  credentials(): Promise<KubeCredentials>
  /** Lets go of what is kept: the server has refused it. Absent = nothing is kept. */
  forget?(): void
}

const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount'
const PLUGIN_TIMEOUT_MS = 30_000
const PLUGIN_BYTES_MAX = 1_048_576
/** A token of a plugin is asked for again this long before it ends. */
const RENEW_MS = 60_000
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/

/**
 * Finds the access.
 *
 * @throws PipelineError `ERR_OPS_FLEET_INVALID` if there is none, or it is not one that is safe.
 */
export async function openKubeAccess(options: KubeAccessOptions): Promise<KubeAccess> {
  const { environment, kubeconfig = environment['KUBECONFIG'] } = options
  if (kubeconfig !== undefined && kubeconfig !== '') return await fromKubeconfig(kubeconfig, options)
  const host = environment['KUBERNETES_SERVICE_HOST']
  if (host !== undefined && host !== '') return await inCluster(host, options)
  const home = environment['HOME']
  if (home !== undefined && home !== '') return await fromKubeconfig(join(home, '.kube', 'config'), options)
  throw invalid('there is no kubeconfig: name one (`kubeconfig`, KUBECONFIG), or run in a pod')
}

async function inCluster(host: string, options: KubeAccessOptions): Promise<KubeAccess> {
  const { environment, serviceAccountDir: dir = SERVICE_ACCOUNT_DIR } = options
  const [ca, namespace] = await Promise.all([read(join(dir, 'ca.crt')), read(join(dir, 'namespace'))])
  const address = host.includes(':') ? `[${host}]` : host
  return {
    server: `https://${address}:${environment['KUBERNETES_SERVICE_PORT'] ?? '443'}`,
    ca,
    servername: undefined,
    namespace: namespace.toString().trim(),
    credentials: async () => ({ token: (await read(join(dir, 'token'))).toString().trim() })
  }
}

async function fromKubeconfig(path: string, options: KubeAccessOptions): Promise<KubeAccess> {
  const file = resolve(path)
  const config = fieldsOf(yamlOf((await read(file)).toString(), file))
  const name = options.context ?? textOf(config, 'current-context')
  if (name === undefined || name === '') throw invalid(`${file}: no current-context, and no context is named`)
  const context = named(config, 'contexts', { name, what: 'context', file })
  const cluster = named(config, 'clusters', { name: textOf(context, 'cluster') ?? '', what: 'cluster', file })
  const user = named(config, 'users', { name: textOf(context, 'user') ?? '', what: 'user', file })
  if (cluster['insecure-skip-tls-verify'] === true) {
    throw invalid(`${file}: insecure-skip-tls-verify is refused; name the cluster's certificate-authority instead`)
  }
  const server = (textOf(cluster, 'server') ?? '').replace(/\/+$/, '')
  checkServer(server, file)
  const dir = dirname(file)
  return {
    server,
    ca: await material(cluster, 'certificate-authority', dir),
    servername: textOf(cluster, 'tls-server-name'),
    namespace: textOf(context, 'namespace'),
    ...(await credentialsOf(user, { dir, server, options }))
  }
}

function checkServer(server: string, file: string): void {
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (url?.protocol === 'https:') return
  if (url?.protocol === 'http:' && LOOPBACK.test(url.hostname)) return
  throw invalid(`${file}: the server ${server} is not https://`)
}

type Credentials = Pick<KubeAccess, 'credentials' | 'forget'>

interface UserSurroundings {
  readonly dir: string
  readonly server: string
  readonly options: KubeAccessOptions
}

async function credentialsOf(user: Fields, around: UserSurroundings): Promise<Credentials> {
  const { dir } = around
  if (user['exec'] !== undefined) return pluginCredentials(fieldsOf(user['exec']), around)
  if (user['auth-provider'] !== undefined || user['username'] !== undefined) {
    throw invalid(
      'auth-provider and passwords are no longer in Kubernetes: use an exec plugin, a token or a certificate'
    )
  }
  const cert = await material(user, 'client-certificate', dir)
  const key = await material(user, 'client-key', dir)
  const tokenFile = textOf(user, 'tokenFile')
  const token = textOf(user, 'token')
  const pair = cert === undefined || key === undefined ? {} : { cert, key }
  const credentials = async (): Promise<KubeCredentials> => {
    if (tokenFile !== undefined) return { ...pair, token: (await read(resolve(dir, tokenFile))).toString().trim() }
    return token === undefined ? pair : { ...pair, token }
  }
  return { credentials }
}

function pluginCredentials(exec: Fields, { dir, server, options }: UserSurroundings): Credentials {
  const command = textOf(exec, 'command') ?? ''
  const apiVersion = textOf(exec, 'apiVersion') ?? 'client.authentication.k8s.io/v1'
  const args = listOf(exec['args']).map(String)
  const added = listOf(exec['env']).map(each => {
    const { name, value } = fieldsOf(each)
    return [String(name), String(value)] as const
  })
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false, cluster: { server } } }
  const environment = {
    ...options.environment,
    ...Object.fromEntries(added),
    KUBERNETES_EXEC_INFO: JSON.stringify(info)
  }
  // A name is looked up in PATH, a path is one beside the kubeconfig.
  const program = command.includes('/') && !isAbsolute(command) ? resolve(dir, command) : command
  let kept: { readonly credentials: KubeCredentials; readonly untilMs: number } | undefined
  const ask = async (): Promise<KubeCredentials> => {
    const nowMs = options.clock.now()
    if (kept !== undefined && nowMs < kept.untilMs) return kept.credentials
    const output = await runPlugin(program, args, environment)
    const status = fieldsOf(fieldsOf(yamlOf(output, `the output of ${command}`))['status'])
    const token = textOf(status, 'token')
    const [cert, key] = [textOf(status, 'clientCertificateData'), textOf(status, 'clientKeyData')]
    if (token === undefined && (cert === undefined || key === undefined)) {
      throw invalid(`${command} gave neither a token nor a certificate`)
    }
    const credentials = {
      ...(token === undefined ? {} : { token }),
      ...(cert === undefined || key === undefined ? {} : { cert, key })
    }
    const expires = Date.parse(textOf(status, 'expirationTimestamp') ?? '')
    kept = { credentials, untilMs: Number.isNaN(expires) ? Number.POSITIVE_INFINITY : expires - RENEW_MS }
    return credentials
  }
  return { credentials: ask, forget: () => void (kept = undefined) }
}

function runPlugin(program: string, args: readonly string[], env: Variables): Promise<string> {
  return new Promise((settle, reject) => {
    const limits = { timeout: PLUGIN_TIMEOUT_MS, maxBuffer: PLUGIN_BYTES_MAX }
    execFile(program, [...args], { env: { ...env }, ...limits }, (error, stdout) => {
      // Its output holds a secret, and so may its command line.
      if (error === null) settle(stdout)
      else reject(invalid(`the exec plugin ${program} failed: ${error.code ?? error.signal ?? 'no reason given'}`))
    })
  })
}

type Fields = Readonly<Record<string, unknown>>

function named(config: Fields, list: string, wanted: { name: string; what: string; file: string }): Fields {
  const key = list.slice(0, -1)
  for (const each of listOf(config[list])) {
    const entry = fieldsOf(each)
    if (entry['name'] === wanted.name) return fieldsOf(entry[key])
  }
  throw invalid(`${wanted.file}: there is no ${wanted.what} ${wanted.name}`)
}

/** A certificate or key: in the file itself (`…-data`, base64), or in another one. */
async function material(fields: Fields, name: string, dir: string): Promise<Buffer | undefined> {
  const data = textOf(fields, `${name}-data`)
  if (data !== undefined) return Buffer.from(data, 'base64')
  const path = textOf(fields, name)
  return path === undefined ? undefined : await read(resolve(dir, path))
}

function fieldsOf(value: unknown): Fields {
  // Whatever else it is has no fields.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' ? value : undefined
}

function yamlOf(text: string, what: string): unknown {
  try {
    return parse(text)
  } catch {
    // The parser's message quotes the line, which may be a secret.
    throw invalid(`${what} is not YAML`)
  }
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw invalid(`cannot read ${path}: ${briefMessageOf(error)}`)
  }
}

function invalid(message: string): PipelineError {
  return new PipelineError('ERR_OPS_FLEET_INVALID', message)
}
