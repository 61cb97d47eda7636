/**
 * What a report is made of, apart from how it looks: the same blocks become
 * Markdown for a repository and one HTML file for everybody else.
 */

import { type ChartOptions, escapeXml, lineChart } from '../plot/line-chart.ts'

/** One part of a report. Texts are plain, but for `code` between backticks. */
export type Block =
  | { readonly kind: 'heading'; readonly level: 1 | 2 | 3; readonly text: string }
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
  /** Drawn from its data; `name` names the picture's file beside a Markdown report. */
  | { readonly kind: 'chart'; readonly name: string; readonly chart: ChartOptions }
  | { readonly kind: 'code'; readonly language: string; readonly text: string }

/** A heading. */
export const heading = (level: 1 | 2 | 3, text: string): Block => ({ kind: 'heading', level, text })
/** A paragraph. */
export const paragraph = (text: string): Block => ({ kind: 'paragraph', text })
/** A list of points. */
export const list = (items: readonly string[]): Block => ({ kind: 'list', items })
/** A table under its titles. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): Block => ({
  kind: 'table',
  head,
  rows
})

/** A file of a Markdown report. */
export interface ReportFile {
  readonly name: string
  readonly content: string
}

/** Markdown, and the pictures that it names. */
export function renderMarkdown(blocks: readonly Block[], name: string): { text: string; files: readonly ReportFile[] } {
  const files: ReportFile[] = []
  const parts = blocks.map(block => {
    if (block.kind !== 'chart') return markdownOf(block)
    const file = `${name}-${block.name}.svg`
    files.push({ name: file, content: `${lineChart(block.chart)}\n` })
    return `![${escapeMarkdown(block.chart.description ?? block.chart.title)}](${encodeURI(file)})`
  })
  return { text: `${parts.join('\n\n')}\n`, files }
}

function markdownOf(block: Exclude<Block, { kind: 'chart' }>): string {
  switch (block.kind) {
    case 'heading':
      return `${'#'.repeat(block.level)} ${escapeMarkdown(block.text)}`
    case 'paragraph':
      return escapeMarkdown(block.text)
    case 'list':
      return block.items.map(item => `* ${escapeMarkdown(item)}`).join('\n')
    case 'table': {
      const line = (cells: readonly string[]): string => `| ${cells.map(escapeMarkdown).join(' | ')} |`
      return [line(block.head), `|${' --- |'.repeat(block.head.length)}`, ...block.rows.map(line)].join('\n')
    }
    case 'code': {
      // A fence longer than any in the text.
      const longest = Math.max(2, ...(block.text.match(/`+/g) ?? []).map(({ length }) => length))
      const fence = '`'.repeat(longest + 1)
      return `${fence}${block.language}\n${block.text}\n${fence}`
    }
  }
}

/** Names of topics and groups come from people and from clusters: none may become markup. */
function escapeMarkdown(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .split('`')
    .map((part, index) => (index % 2 === 1 ? part.replaceAll('|', '\\|') : part.replaceAll(/[\\<>[\]*_|#]/g, '\\$&')))
    .join('`')
}

/** One HTML file with everything in it: nothing is loaded from elsewhere, no script runs. */
export function renderHtml(blocks: readonly Block[], title: string): string {
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeXml(title)}</title>`,
    `<style>${style}</style></head><body><main>`,
    ...blocks.map(htmlOf),
    '</main></body></html>',
    ''
  ].join('\n')
}

const style = `
:root{color-scheme:light dark}
body{font:15px/1.55 system-ui,sans-serif;margin:0;color:#222;background:#fff}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1,h2,h3{line-height:1.25}h2{margin-top:2.5rem;border-bottom:1px solid #8886;padding-bottom:.25rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .75rem .3rem 0;border-bottom:1px solid #8884;vertical-align:top}
code,pre{font:13px/1.5 ui-monospace,monospace}pre{overflow-x:auto;padding:.75rem;background:#8881;border-radius:4px}
code{background:#8882;padding:0 .2em;border-radius:3px}pre code{background:none;padding:0}svg{width:100%;height:auto}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}svg,table{break-inside:avoid}}`

function htmlOf(block: Block): string {
  switch (block.kind) {
    case 'heading':
      return `<h${block.level}>${inline(block.text)}</h${block.level}>`
    case 'paragraph':
      return `<p>${inline(block.text)}</p>`
    case 'list':
      return `<ul>${block.items.map(item => `<li>${inline(item)}</li>`).join('')}</ul>`
    case 'table': {
      const head = block.head.map(cell => `<th scope="col">${inline(cell)}</th>`).join('')
      const rows = block.rows.map(cells => `<tr>${cells.map(cell => `<td>${inline(cell)}</td>`).join('')}</tr>`)
      return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
    }
    case 'chart':
      return `<figure>${lineChart(block.chart)}</figure>`
    case 'code':
      return `<pre><code>${escapeXml(block.text)}</code></pre>`
  }
}

function inline(text: string): string {
  return escapeXml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')
}
