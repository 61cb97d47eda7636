import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Block, renderHtml, renderMarkdown, table } from '../../../src/ops/report/blocks.ts'
import { buildReport } from '../../../src/ops/report/build-report.ts'
import { c4Container, c4Context } from '../../../src/ops/report/c4.ts'
import { reviewAnswers } from '../../../src/ops/report/questions.ts'
import type { ReportFacts } from '../../../src/ops/report/report-facts.ts'
import { factsOf, lookOf } from './facts.ts'

function answerTo(question: RegExp, facts: ReportFacts): { answer: string; source: string } {
  const found = reviewAnswers(facts).find(each => question.test(each.question))
  assert.ok(found, `no question matches ${question}`)
  return found
}

test('what was not measured is not known, and the answer names the command that measures it', () => {
  for (const { question, answer, source } of reviewAnswers(factsOf())) {
    assert.ok(source === 'not known' || source === 'configured', `${question}: ${source}`)
    if (source === 'not known') assert.match(answer, /comporta|operations\./, question)
  }
})

test('every question of the users’ review has an answer', () => {
  const asked = reviewAnswers(factsOf()).map(({ question }) => question)
  // From the review in the users' document: pause, rebalances a day, 40 partitions and 10 consumers, machines to
  // call a function, cost of a batch, one topic, slow consumer, slow function, growth, largest risk, 3 a.m.
  const subjects = [/pause/, /a day/, /partitions, and so many/, /machines/i, /batch cost/, /single topic/]
  for (const subject of [...subjects, /consumer becomes slow/, /function becomes slow/, /grow/, /risk/, /3 a\.m\./]) {
    assert.ok(
      asked.some(question => subject.test(question)),
      String(subject)
    )
  }
})

test('answers come from what was measured', () => {
  const facts = factsOf({
    looks: [lookOf(0), lookOf(60)],
    experiments: [
      {
        name: 'kill-dispatcher',
        hypothesis: 'h',
        holds: true,
        longestPauseMs: 812,
        rebalances: 2,
        lost: 0,
        duplicates: 140,
        recoveredMs: 15_400
      }
    ],
    plans: [{ topic: 'mt-c400', partitions: 12, recommended: 24, answer: 'because.', movedShare: 0.5, movedTo: 24 }],
    findings: [{ severity: 'error', title: 'Offline', reason: 'two partitions.', fix: 'start broker 3.' }]
  })
  assert.deepEqual(answerTo(/pause/, facts), {
    question: 'How long does a rebalance pause us?',
    answer: 'The longest time in which a partition was not served: 812 ms (kill-dispatcher).',
    source: 'measured'
  })
  assert.match(answerTo(/a day/, facts).answer, /Within 60 s of watching mt-dispatcher none was seen/)
  assert.match(
    answerTo(/becomes slow, or stops/, facts).answer,
    /held \(0 lost, 140 delivered twice, steady again after 15 s\)/
  )
  assert.match(answerTo(/lost\?/, facts).answer, /0 records were lost in 1 rehearsed failures\. .*deleted in 3 h/)
  assert.match(answerTo(/grow/, facts).answer, /mt-c400 from 12 to 24: 50 % of the keys move/)
  assert.match(answerTo(/risk/, facts).answer, /Offline: two partitions\. What to do: start broker 3\./)
  assert.match(answerTo(/3 a\.m\./, facts).answer, /mt-dispatcher is OK with 1,200 records behind, 4 s old/)
})

test('loss that has happened is said before anything reassuring', () => {
  const facts = factsOf({ looks: [lookOf(0, { flags: ['dataLoss'] })] })
  assert.match(answerTo(/lost\?/, facts).answer, /^It has happened/)
})

test('a failed rehearsal is not called held', () => {
  const experiments = [{ name: 'slow-target', hypothesis: 'h', holds: false }]
  assert.match(answerTo(/function becomes slow/, factsOf({ experiments })).answer, /slow-target: DID NOT HOLD/)
})

test('Markdown names its pictures, and HTML holds them and loads nothing', () => {
  const blocks = buildReport(factsOf({ looks: [lookOf(0), lookOf(30), lookOf(60)] }))
  const { text, files } = renderMarkdown(blocks, 'review')
  assert.deepEqual(
    files.map(({ name }) => name),
    ['review-lag.svg', 'review-lag-seconds.svg', 'review-rates.svg']
  )
  for (const { name } of files) assert.ok(text.includes(`](${name})`), name)
  assert.match(text, /```mermaid\nC4Context/)
  const html = renderHtml(blocks, 'Review')
  assert.equal(html.match(/<svg /g)?.length, 3)
  assert.doesNotMatch(html, /<script|(?:src|href)=/)
  assert.match(html, /default-src 'none'/)
})

test('names of topics and groups are text in both forms', () => {
  const hostile = '<img src=x onerror=alert(1)> | **bold** [link](javascript:1)'
  const blocks: Block[] = [table(['Group'], [[hostile]]), { kind: 'code', language: 'mermaid', text: '```\nend' }]
  const html = renderHtml(blocks, hostile)
  assert.doesNotMatch(html, /<img/)
  const { text } = renderMarkdown(blocks, 'r')
  assert.doesNotMatch(text, /(?<!\\)<img|(?<!\\)\*\*bold|(?<!\\)\[link/)
  assert.equal(text.split('\n')[2]?.match(/(?<!\\)\|/g)?.length, 2)
  assert.match(text, /````mermaid\n```\nend\n````/)
})

test('the C4 pictures show sources, topics, group and target, and no query of an address', () => {
  const { pipeline } = factsOf()
  assert.ok(pipeline)
  const context = c4Context({ pipeline })
  assert.match(context, /^C4Context\n {2}title trucks: context\n/)
  const container = c4Container({ pipeline })
  for (const part of [
    'System_Ext(source0, "http source", "Source")',
    'ContainerQueue(topic0, "mt-c400", "Kafka topic", "12 partitions")',
    'Rel(topic1, dispatcher, "raw fetch")',
    'System_Ext(target0, "127.0.0.1:9000", "HTTP service")',
    'ContainerQueue(dead, "mt-dead", "Kafka topic", "Dead letters")'
  ]) {
    assert.ok(container.includes(part), `${part}\n${container}`)
  }
  assert.doesNotMatch(`${context}${container}`, /hidden/)
})

test('parts can be had on their own', () => {
  const headings = (parts: Parameters<typeof buildReport>[1]): string[] =>
    buildReport(factsOf(), parts).flatMap(block => (block.kind === 'heading' && block.level === 2 ? [block.text] : []))
  assert.deepEqual(headings(['c4']), ['C4: context', 'C4: containers'])
  assert.deepEqual(headings(['adr']), ['Decision record: trucks'])
})
