/**
 * UpdateFeatures, versions 0 to 2: changes the levels of `group.version` and
 * `transaction.version`, all of them or none. Version 0 has no upgrade type: it
 * says whether a downgrade is allowed. Source: KIP-584, KIP-778, KIP-1022.
 */

import { updateFeaturesApi } from '../../protocol/index.ts'
import { defineHandler, errorCode } from './handler.ts'

const UPGRADE = 1
const SAFE_DOWNGRADE = 2
/** From here on the answer has no results by feature: all share one outcome. */
const ONE_RESULT_VERSION = 2

/** The handler of UpdateFeatures. */
export const updateFeaturesHandler = defineHandler({
  api: updateFeaturesApi,
  clusterOperation: 'alter',
  handle: async (broker, request, { apiVersion }) => {
    const updates = request.featureUpdates.map(({ feature, maxVersionLevel, upgradeType, allowDowngrade }) => ({
      name: feature,
      level: maxVersionLevel,
      upgradeType: apiVersion >= 1 ? upgradeType : allowDowngrade ? SAFE_DOWNGRADE : UPGRADE
    }))
    const refused = await broker.features.update(updates, request.validateOnly)
    if (refused !== undefined) return { errorCode: errorCode(refused.error), errorMessage: refused.message }
    const names = apiVersion >= ONE_RESULT_VERSION ? [] : updates.map(({ name }) => name)
    return { errorMessage: null, results: names.map(feature => ({ feature, errorMessage: 'NONE' })) }
  },
  fail: (_request, code) => ({ errorCode: code })
})
