/** Resolves the jars of Apache Kafka through Maven, so that no test waits for it: `npm run kafka:resolve`. */

import { kafkaClassPath } from '../test/support/kafka-jvm.ts'

const jars = (await kafkaClassPath()).split(':')
console.log(`Apache Kafka: ${jars.length} jars`)
