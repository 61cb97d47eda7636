/**
 * ApiVersions, versions 0 to 4: what this broker answers, and to whom it talks.
 *
 * Produce is advertised from version 0 although 0 to 2 are refused: librdkafka
 * otherwise takes it that the broker knows no compression (KAFKA-18659).
 * Source: KIP-35, KIP-511, KIP-584.
 */

import { apiVersionsApi } from '../../protocol/index.ts'
import { defineHandler, errorCode, type Handler } from './handler.ts'

const SOFTWARE_PATTERN = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

/** The handler of ApiVersions, over all handlers including itself. */
export function apiVersionsHandler(handlers: () => Iterable<Handler>): Handler {
  return defineHandler({
    api: apiVersionsApi,
    handle: ({ features }, request, { apiVersion }) => {
      const isNamed =
        SOFTWARE_PATTERN.test(request.clientSoftwareName) && SOFTWARE_PATTERN.test(request.clientSoftwareVersion)
      if (apiVersion >= 3 && !isNamed) return { errorCode: errorCode('INVALID_REQUEST') }
      const apiKeys = [...handlers()]
        .map(handler => ({ apiKey: handler.key, minVersion: handler.advertisedMin, maxVersion: handler.versionMax }))
        .toSorted((left, right) => left.apiKey - right.apiKey)
      return {
        apiKeys,
        supportedFeatures: features
          .supported()
          // Before version 4 a lowest level of 0 could not be told; Kafka leaves such features out (KAFKA-17011).
          .filter(({ min }) => apiVersion >= 4 || min > 0)
          .map(({ name, min, max }) => ({ name, minVersion: min, maxVersion: max })),
        finalizedFeaturesEpoch: features.epoch,
        finalizedFeatures: features
          .finalized()
          .map(({ name, level }) => ({ name, minVersionLevel: level, maxVersionLevel: level }))
      }
    },
    fail: (_request, code) => ({ errorCode: code })
  })
}
