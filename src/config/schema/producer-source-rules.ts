/** What sources of lines allow on their own, but not together. */

import { isAbsolute, normalize } from 'node:path'

import type { Report } from './common.ts'
import type { ProducerConfig } from './producer.ts'

/** Reports sources that do not go together with themselves or with one another. */
export function checkSources(sources: ProducerConfig['sources'], report: Report): void {
  const stateFiles = new Map<string, number>()
  sources.forEach((source, index) => {
    const path = ['producer', 'sources', index]
    if (source.type === 'directory') {
      const { whenSafe, moveTo, state } = source
      if (whenSafe === 'move' && moveTo === undefined) report(path, '`whenSafe: move` needs `moveTo`')
      if (whenSafe !== 'move' && moveTo !== undefined) report([...path, 'moveTo'], 'goes with `whenSafe: move` only')
      if (whenSafe === 'keep' && state === undefined) {
        report(path, '`whenSafe: keep` needs `state`: without it every start publishes all files again')
      }
    }
    if (!('state' in source) || source.state === undefined) return
    const file = isAbsolute(source.state.file) ? source.state.file : normalize(source.state.file)
    const other = stateFiles.get(file)
    if (other !== undefined) {
      report([...path, 'state', 'file'], `is the state file of sources[${other}], too: each needs its own`)
    }
    stateFiles.set(file, index)
  })
}
