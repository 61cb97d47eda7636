/** Words for what the server says of groups, topics and the parts of a pipeline. */

import { defineWords } from '../base/word-forms.ts'

/** See the module. */
export const pipelineWords = defineWords({
  en: {
    'kind.source': 'Source',
    'kind.producer': 'Producer',
    'kind.topic': 'Topic',
    'kind.group': 'Group',
    'kind.target': 'Target',
    'kind.retries': 'Retries',
    'kind.deadLetters': 'Dead letters',
    'kinds.source': 'Sources',
    'kinds.producer': 'Producers',
    'kinds.topic': 'Topics',
    'kinds.group': 'Consumer groups',
    'kinds.target': 'Targets',
    'kinds.retries': 'Retry topics',
    'kinds.deadLetters': 'Dead-letter topics',
    'fact.partitions': { one: '{value} partition', other: '{value} partitions' },
    'fact.members': { one: '{value} member', other: '{value} members' },
    'fact.lagRecords': { one: 'lag {value} record', other: 'lag {value} records' },
    'fact.lagSeconds': 'lag {value}',
    'fact.records': { one: '{value} record', other: '{value} records' },
    'fact.rate': '{value}',
    'fact.topics': { one: '{value} topic', other: '{value} topics' },
    'fact.groups': { one: '{value} group', other: '{value} groups' },
    'fact.inFlight': '{value} in flight',
    'reason.lagOverSlo': 'The lag of {lagSeconds} is above the promised {sloSeconds}',
    'reason.lagHigh': 'The lag of {lagRecords} records is high',
    'reason.lagFair': 'The lag of {lagRecords} records is above what is usual',
    'reason.lagGrows': 'The lag grows by {rate}',
    'reason.producerStopped': 'Nothing has come in for {seconds}',
    'reason.rateLow': 'Only {rate} come in',
    'reason.retentionNearlyFull': 'Unread records will soon be deleted: {ratio} of the retention is used',
    'reason.retentionFair': '{ratio} of the retention is used by unread records',
    'reason.dataLoss': {
      one: 'Records were deleted unread in {partitions} partition',
      other: 'Records were deleted unread in {partitions} partitions'
    },
    'reason.partlyUnknown': {
      one: 'The lag of {partitions} partition is not known',
      other: 'The lag of {partitions} partitions is not known'
    },
    'reason.stopped': 'Records wait, and the group does not move',
    'reason.noMembers': 'Records wait, and the group has no members',
    'reason.unreadable': 'It could not be read: {text}'
  },
  pt: {
    'kind.source': 'Origem',
    'kind.producer': 'Produtor',
    'kind.topic': 'Tópico',
    'kind.group': 'Grupo',
    'kind.target': 'Destino',
    'kind.retries': 'Novas tentativas',
    'kind.deadLetters': 'Dead letters',
    'kinds.source': 'Origens',
    'kinds.producer': 'Produtores',
    'kinds.topic': 'Tópicos',
    'kinds.group': 'Grupos de consumidores',
    'kinds.target': 'Destinos',
    'kinds.retries': 'Tópicos de retry',
    'kinds.deadLetters': 'Tópicos de dead letters',
    'fact.partitions': { one: '{value} partição', other: '{value} partições' },
    'fact.members': { one: '{value} membro', other: '{value} membros' },
    'fact.lagRecords': { one: 'atraso de {value} registro', other: 'atraso de {value} registros' },
    'fact.lagSeconds': 'atraso de {value}',
    'fact.records': { one: '{value} registro', other: '{value} registros' },
    'fact.rate': '{value}',
    'fact.topics': { one: '{value} tópico', other: '{value} tópicos' },
    'fact.groups': { one: '{value} grupo', other: '{value} grupos' },
    'fact.inFlight': '{value} em voo',
    'reason.lagOverSlo': 'O atraso de {lagSeconds} passa dos {sloSeconds} prometidos',
    'reason.lagHigh': 'O atraso de {lagRecords} registros é alto',
    'reason.lagFair': 'O atraso de {lagRecords} registros está acima do normal',
    'reason.lagGrows': 'O atraso cresce a {rate}',
    'reason.producerStopped': 'Nada chega há {seconds}',
    'reason.rateLow': 'Só chegam {rate}',
    'reason.retentionNearlyFull': 'Registros não lidos serão apagados em breve: {ratio} da retenção em uso',
    'reason.retentionFair': '{ratio} da retenção está ocupada por registros não lidos',
    'reason.dataLoss': {
      one: 'Registros foram apagados sem leitura em {partitions} partição',
      other: 'Registros foram apagados sem leitura em {partitions} partições'
    },
    'reason.partlyUnknown': {
      one: 'Não se sabe o atraso de {partitions} partição',
      other: 'Não se sabe o atraso de {partitions} partições'
    },
    'reason.stopped': 'Há registros esperando e o grupo não avança',
    'reason.noMembers': 'Há registros esperando e o grupo não tem membros',
    'reason.unreadable': 'Não foi possível ler: {text}'
  }
})
