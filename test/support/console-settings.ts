/** Settings of the console, as a pipeline file has them. */

import { type ConsoleConfig, parsePipeline } from '../../src/config/index.ts'

/** The section `console:` as a pipeline file has it. */
export function consoleSettings(section = ''): ConsoleConfig {
  const text = `name: test\nkafka: { bootstrapServers: [127.0.0.1:1] }\nconsole:\n  port: 0\n${section}`
  return parsePipeline(text, { fileName: 'test.yaml', environment: {} }).console
}
