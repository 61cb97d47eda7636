/** Resolves the jars of Apache Kafka through Maven, so that no test waits for it: `npm run kafka:resolve`. */

import { applicationClassPath, kafkaClassPath, OLD_RELEASES, oldToolsClassPath } from '../test/support/kafka-jvm.ts'

console.log(`Apache Kafka: ${(await kafkaClassPath()).split(':').length} jars`)
console.log(`Kafka Streams, Connect and MirrorMaker: ${(await applicationClassPath()).split(':').length} jars`)
for (const release of OLD_RELEASES) {
  console.log(`The tools of ${release}: ${(await oldToolsClassPath(release)).split(':').length} jars`)
}
