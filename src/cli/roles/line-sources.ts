/** Sources of lines as the pipeline file describes them. */

import type { SourceConfig } from '../../config/index.ts'
import { fileSource, type Source, streamSource } from '../../producer/index.ts'
import type { Logger } from '../../telemetry/index.ts'

type LineSourceConfig = Extract<SourceConfig, { type: 'file' | 'stdin' }>

/** Makes a source of lines. With `isRestart` it forgets its state. */
export function lineSource(source: LineSourceConfig, around: { logger: Logger; isRestart?: boolean }): Source {
  const { logger, isRestart = false } = around
  const { format } = source
  switch (source.type) {
    case 'file': {
      const state = source.state && { ...source.state, isRestart }
      return fileSource(source.path, { format, state, isRestart, logger })
    }
    case 'stdin': {
      const state = source.state && { ...source.state, isRestart }
      return streamSource(process.stdin, 'stdin', { format, state, isRestart, logger })
    }
  }
}
