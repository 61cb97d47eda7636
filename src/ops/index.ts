/** `ops`: what whoever runs a pipeline needs. So far the audit of a verified run. */

export { Audit, type AuditReport, type DeadLetter, type Violation } from './audit/audit.ts'
export { LatencyHistogram } from './audit/latency.ts'
export { EXPECTATION, LEDGER_KIND, type LedgerEntry, LedgerWriter, readLedger } from './audit/ledger.ts'

export { type AppliedChange, applyChange, type ApplyOptions } from './change/apply-change.ts'
export type { ApplyContext, Change, ChangeEffect, ChangePlan, ChangeResult, Json, Undo } from './change/change.ts'
export { type UndoHandler, undoHandlerOf, type UndoOpen } from './change/undo-handlers.ts'
export {
  type DamagedRecord,
  type NewUndoRecord,
  type UndoDisk,
  type UndoRecord,
  type UndoState,
  UndoStore,
  type UndoStoreOptions
} from './change/undo-store.ts'

// KEDA
export { type KedaDecision, type KedaInput, type KedaLimit, type KedaPartition, kedaReplicas } from './keda/keda.ts'
export { type KedaOptions, kedaProblems } from './keda/options.ts'

// Scan
export { scanCluster } from './scan/scan-cluster.ts'
export type {
  ClusterScan,
  ScannedGroup,
  ScannedOffset,
  ScannedPartition,
  ScannedTopic,
  ScanRequest
} from './scan/scan-types.ts'

// The simulator.
export type {
  ScaleDecider,
  ScaleView,
  SimulationHooks,
  SimulationMoment,
  SimulationResult,
  SimulationScenario,
  SimulationSeries,
  SimulationSummary
} from './simulate/simulation-types.ts'

// Cost
export { adviseBatch, type BatchAdvice, type BatchOption, batchOption, type FunctionCost } from './cost/batch.ts'
export { compareCosts, type CostAlternative } from './cost/compare.ts'
export {
  type ClusterKind,
  type CostLine,
  type CostReport,
  type CostWorkload,
  type Invoker,
  priceWorkload
} from './cost/model.ts'
export { type Architecture, type PriceList, PRICES, type PriceTier, readPriceList } from './cost/prices.ts'
export { type OfferName, offerPath, OFFERS, readOffer, type RefreshedPrices, refreshPrices } from './cost/refresh.ts'
export { workloadOf, type WorkloadOverrides } from './cost/workload.ts'
