/** Sources of lines as the pipeline file describes them. */

import type { SourceConfig } from '../../config/index.ts'
import { DirectorySource, fileSource, FollowSource, type Source, streamSource } from '../../producer/index.ts'
import type { Logger } from '../../telemetry/index.ts'

type LineSourceConfig = Extract<SourceConfig, { type: 'file' | 'stdin' | 'directory' | 'follow' }>

/** Makes a source of lines. With `isRestart` it forgets its state. */
export function lineSource(source: LineSourceConfig, around: { logger: Logger; isRestart: boolean }): Source {
  const { logger, isRestart } = around
  switch (source.type) {
    case 'file': {
      const state = source.state && { ...source.state, isRestart }
      return fileSource(source.path, { format: source.format, state, isRestart, logger })
    }
    case 'stdin': {
      const state = source.state && { ...source.state, isRestart }
      return streamSource(process.stdin, 'stdin', { format: source.format, state, isRestart, logger })
    }
    case 'directory':
      return new DirectorySource({ ...source, state: source.state && { ...source.state, isRestart }, logger })
    case 'follow':
      return new FollowSource({ ...source, state: source.state && { ...source.state, isRestart }, logger })
  }
}
