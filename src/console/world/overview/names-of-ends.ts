/** What sources and targets are called in the picture: no secret, no query, no password of an address. Pure. */

import { basename } from 'node:path'

import type { SourceConfig, TargetConfig } from '../../../config/index.ts'

/** A source. */
export interface NamedSource {
  readonly title: string
  /** Empty = none. */
  readonly address: string
}

/** The name of a source. */
export function describeSource(source: SourceConfig): NamedSource {
  const { type } = source
  switch (source.type) {
    case 'http':
    case 'syslog':
      return { title: type, address: `:${source.port}` }
    case 'file':
    case 'directory':
    case 'follow':
      return { title: type, address: basename(source.path) }
    case 'module':
      return { title: type, address: basename(source.file) }
    case 'kafka':
      return { title: type, address: source.topics.join(', ') }
    case 'sqs':
      return { title: type, address: basename(placeOf(source.queueUrl)) }
    case 'kinesis':
      return { title: type, address: source.stream }
    case 'generator':
    case 'stdin':
      return { title: type, address: '' }
  }
}

/** A target. */
export interface NamedTarget {
  readonly name: string
  readonly address: string
  /** Of a Lambda function. */
  readonly functionName?: string
}

/** The name of a target. */
export function describeTarget(target: TargetConfig): NamedTarget {
  switch (target.type) {
    case 'lambda':
      return { name: target.functionName, address: 'lambda', functionName: target.functionName }
    case 'http':
      return { name: placeOf(target.url), address: 'http' }
    case 'module':
      return { name: basename(target.file), address: 'module' }
    case 'topic':
      return { name: target.topic ?? 'topic', address: 'topic' }
  }
}

/** Host and path of an address. */
function placeOf(url: string): string {
  try {
    const { host, pathname } = new URL(url)
    return `${host}${pathname === '/' ? '' : pathname}`
  } catch {
    // Perhaps a template: what is before a query holds no secret.
    return url.split(/[?#]/)[0] ?? ''
  }
}
