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
    'fact.readers': { one: '{value} group reads it', other: '{value} groups read it' },
    'fact.inFlight': '{value} in flight',
    'fact.concurrency': 'limit {value}',
    'fact.instances': { one: '{value} instance', other: '{value} instances' },
    'fact.drainSeconds': 'caught up in {value}',
    'fact.delaySeconds': 'again after {value}',
    'fact.address': '{value}',
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
    'reason.replayRests': 'A replay that ended or was stopped: what it has not read waits for nobody',
    'reason.aheadOfLog': {
      one: '{partitions} partition has a commit beyond the end of its log: was the topic made anew?',
      other: '{partitions} partitions have commits beyond the end of their logs: was the topic made anew?'
    },
    'reason.unreadable': 'It could not be read: {text}',
    'reason.topicMissing': 'The topic does not exist',
    'reason.topicUnreadable': 'The topic could not be read: {text}',
    'reason.partitionsOffline': {
      one: '{partitions} partition has no leader',
      other: '{partitions} partitions have no leader'
    },
    'reason.underReplicated': {
      one: '{partitions} partition has replicas that are behind',
      other: '{partitions} partitions have replicas that are behind'
    },
    'reason.deadLettersArrive': 'Dead letters arrive, {rate}',
    'reason.recordsWait': 'Records to be looked at: {lagRecords}',
    'reason.groupMissing': 'The group does not exist yet',
    'reason.breakerOpen': 'The target fails: its circuit breaker is open',
    'reason.instanceAway': 'A process does not answer: {text}',
    'reason.instanceNotReady': 'A process is not ready: {text}',
    'reason.sourceProblem': 'The source {text} has a problem'
  },
  pt: {
    'kind.source': 'Origem',
    'kind.producer': 'Produtor',
    'kind.topic': 'Tópico',
    'kind.group': 'Grupo',
    'kind.target': 'Destino',
    'kind.retries': 'Novas tentativas',
    'kind.deadLetters': 'Mensagens mortas',
    'kinds.source': 'Origens',
    'kinds.producer': 'Produtores',
    'kinds.topic': 'Tópicos',
    'kinds.group': 'Grupos',
    'kinds.target': 'Destinos',
    'kinds.retries': 'Tópicos de retry',
    'kinds.deadLetters': 'Tópicos de mensagens mortas',
    'fact.partitions': { one: '{value} partição', other: '{value} partições' },
    'fact.members': { one: '{value} membro', other: '{value} membros' },
    'fact.lagRecords': { one: 'atraso de {value} registro', other: 'atraso de {value} registros' },
    'fact.lagSeconds': 'atraso de {value}',
    'fact.records': { one: '{value} registro', other: '{value} registros' },
    'fact.rate': '{value}',
    'fact.readers': { one: 'lido por {value} grupo', other: 'lido por {value} grupos' },
    'fact.inFlight': '{value} em voo',
    'fact.concurrency': 'limite {value}',
    'fact.instances': { one: '{value} instância', other: '{value} instâncias' },
    'fact.drainSeconds': 'em dia em {value}',
    'fact.delaySeconds': 'de novo após {value}',
    'fact.address': '{value}',
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
    'reason.replayRests': 'Um replay que terminou ou foi interrompido: o que ele não leu não espera por ninguém',
    'reason.aheadOfLog': {
      one: '{partitions} partição tem commit além do fim do log: o tópico foi recriado?',
      other: '{partitions} partições têm commit além do fim do log: o tópico foi recriado?'
    },
    'reason.unreadable': 'Não foi possível ler: {text}',
    'reason.topicMissing': 'O tópico não existe',
    'reason.topicUnreadable': 'Não foi possível ler o tópico: {text}',
    'reason.partitionsOffline': {
      one: '{partitions} partição está sem líder',
      other: '{partitions} partições estão sem líder'
    },
    'reason.underReplicated': {
      one: '{partitions} partição tem réplicas atrasadas',
      other: '{partitions} partições têm réplicas atrasadas'
    },
    'reason.deadLettersArrive': 'Chegam mensagens mortas, {rate}',
    'reason.recordsWait': 'Registros para analisar: {lagRecords}',
    'reason.groupMissing': 'O grupo ainda não existe',
    'reason.breakerOpen': 'O destino está falhando: o circuit breaker está aberto',
    'reason.instanceAway': 'Um processo não responde: {text}',
    'reason.instanceNotReady': 'Um processo não está pronto: {text}',
    'reason.sourceProblem': 'A origem {text} está com problema'
  }
})
