/** `ops`: what whoever runs a pipeline needs: looks, plans, changes with a way back, rehearsals, models. */

// Alerts.
export { AlertBook, type AlertBookOptions } from './alerts/alert-book.ts'
export type { Alert, AlertCondition } from './alerts/alert.ts'
export { type AlertMessage, headlineOf, messageOfAlert, textOfAlert } from './alerts/message.ts'
export { type AlertCounts, AlertOutbox, type AlertOutboxOptions } from './alerts/outbox.ts'
export type { AlertSender } from './alerts/sender.ts'
export { lineSender, slackSender, snsSender, webhookSender } from './alerts/senders.ts'

// Audit of ledgers.
export {
  auditLedgers,
  type LedgerAudit,
  type LedgerAuditOptions,
  ledgerFiles,
  REASON_IN_TOPIC
} from './audit/audit-ledgers.ts'
export { Audit, type AuditOptions, type AuditReport, type DeadLetter, type Violation } from './audit/audit.ts'
export { LatencyHistogram } from './audit/latency.ts'
export { EXPECTATION, LEDGER_KIND, type LedgerEntry, LedgerWriter, readLedger } from './audit/ledger.ts'

// Dashboards, rules and alarms.
export type { AlertRule } from './boards/alert-types.ts'
export type { Board } from './boards/board-types.ts'
export { cloudFormationTemplate, type CloudWatchSettings } from './boards/cloudwatch.ts'
export { boardsOf, grafanaDashboard } from './boards/grafana.ts'
export { alertsByName, prometheusRules, runbookAnchor } from './boards/prometheus.ts'
export {
  BOARD_PLACES,
  type BoardPlaces,
  type BoardSettings,
  type BoardTopic,
  genericBoards,
  pipelineBoards
} from './boards/settings.ts'

// Changes and their undo.
export { type AppliedChange, applyChange, type ApplyOptions } from './change/apply-change.ts'
export type { ApplyContext, Change, ChangeEffect, ChangePlan, ChangeResult, Json, Undo } from './change/change.ts'
export { planTakeBack, type TakeBackQuestion, takeBackProblem, withConflicts } from './change/take-back.ts'
export { undoHandlerOf } from './change/undo-handlers.ts'
export {
  type DamagedRecord,
  type NewUndoRecord,
  type UndoDisk,
  type UndoList,
  type UndoPage,
  type UndoRecord,
  type UndoState,
  UndoStore,
  type UndoStoreOptions
} from './change/undo-store.ts'
export type { UndoHandler, UndoOpen } from './change/undo-types.ts'

// Rehearsed failures.
export { CHAOS_EXPERIMENTS, experimentsNamed } from './chaos/catalogue.ts'
export {
  type AbortConditions,
  CHAOS_BATCH_RECORDS,
  type ChaosAction,
  type ChaosExperiment,
  type ChaosFaults,
  type ChaosNeeds,
  type ChaosPart,
  harmMs,
  type NetworkTreatment
} from './chaos/experiment.ts'
export { auditReasons, type ChaosReport, type ChaosVerdict, type LagPoint, skippedReport } from './chaos/judge.ts'
export { type ChaosContext, chaosMarkdown, sparkline } from './chaos/markdown.ts'
export type {
  ChaosLedgers,
  ChaosObservation,
  ChaosSample,
  PartitionOffsets,
  PartitionPause,
  SteadyState,
  TimelineEntry
} from './chaos/observation.ts'
export { type ChaosRunOptions, type ChaosWorld, runExperiment } from './chaos/run-experiment.ts'
export { describeAbort, STEADY_TEXT } from './chaos/steady.ts'

// What it costs.
export { adviseBatch, type BatchAdvice, type BatchOption, batchOption } from './cost/batch.ts'
export { type Bill, billOf, type BillRequest } from './cost/bill.ts'
export { compareCosts, type CostAlternative } from './cost/compare.ts'
export { type CostLine, type CostReport, priceWorkload } from './cost/model.ts'
export { type Architecture, type PriceList, PRICES, type PriceTier, readPriceList } from './cost/prices.ts'
export { type OfferName, offerPath, OFFERS, readOffer, type RefreshedPrices, refreshPrices } from './cost/refresh.ts'
export type { ClusterKind, CostWorkload, FunctionCost, Invoker } from './cost/workload-types.ts'
export { workloadOf, type WorkloadOverrides } from './cost/workload.ts'

// Doctor.
export type { MskQuestion } from './doctor/collect-msk.ts'
export { collectFacts, type CollectOptions } from './doctor/collect.ts'
export { type CertificateFact, type DoctorFacts, type Known, known, unknown } from './doctor/facts.ts'
export type { CheckArea, DoctorCheck, DoctorFinding, DoctorSeverity } from './doctor/finding.ts'
export { type HotPartition, type HotPartitions, hotPartitionsOf, type PartitionCount } from './doctor/hot-partition.ts'
export { type CheckChoice, DOCTOR_CHECKS, judgeFacts } from './doctor/judge.ts'
export { bySeverity, type DoctorOptions, runDoctor } from './doctor/run-doctor.ts'

// Fleets.
export { answerText } from './fleet/answer-text.ts'
export { AutoScalingGroupFleet, type AutoScalingGroupOptions } from './fleet/auto-scaling-group.ts'
export { EcsServiceFleet, type EcsServiceOptions } from './fleet/ecs-service.ts'
export { type FleetLock, lockFleet, lockHolder } from './fleet/fleet-lock.ts'
export { type Deadline, withDeadline } from './fleet/deadline.ts'
export type {
  FleetActuator,
  FleetInstance,
  FleetSize,
  InstanceState,
  KeeperRollout,
  KeeperRolloutStatus
} from './fleet/fleet.ts'
export {
  type KubeAccess,
  type KubeAccessOptions,
  type KubeCredentials,
  openKubeAccess,
  type Variables
} from './fleet/kube-access.ts'
export { KubernetesFleet, type KubernetesOptions } from './fleet/kubernetes.ts'
export { type FleetSurroundings, openFleet } from './fleet/open-fleet.ts'
export { RESIZE_KIND, resizeChange, type ResizeRequest, undoResize } from './fleet/resize-change.ts'
export { SocketFleet } from './fleet/socket-fleet.ts'
export { WebhookFleet, type WebhookFleetOptions, webhookSignature } from './fleet/webhook.ts'

// Consumer groups.
export { type GroupList, type GroupRow, listGroupRows, type ListGroupsRequest } from './groups/list-groups.ts'
export { planRemoveMembers, type RemoveMembersRequest } from './groups/remove-members.ts'

// KEDA, and the endpoint for lag.
export { kedaDecisionOf, type KedaGroupView, kedaPartitions, kedaView } from './keda/group-view.ts'
export { type KedaDecision, type KedaInput, type KedaLimit, type KedaPartition, kedaReplicas } from './keda/keda.ts'
export { answerOf, type EndpointAnswer, type EndpointState, readKedaOptions } from './keda/lag-endpoint.ts'
export { type LagServer, type LagServerOptions, startLagServer } from './keda/lag-server.ts'
export { type KedaOptions, kedaProblems } from './keda/options.ts'

// Lag.
export {
  BURROW_DEFAULTS,
  type BurrowQuestion,
  type BurrowRules,
  type BurrowVerdict,
  type CommitSample,
  judgeGroup,
  judgePartition
} from './lag/burrow.ts'
export { type Explained, explainFlags, explainReason } from './lag/explain.ts'
export { type Health, healthOf, type HealthReason, LAG_THRESHOLDS, type LagThresholds } from './lag/health.ts'
export { type LagLook, LagMonitor, type LagMonitorOptions } from './lag/lag-monitor.ts'
export type {
  GroupLag,
  GroupStatus,
  HeadroomLimit,
  LagFlag,
  LagReport,
  LagTimeSource,
  PartitionLag,
  PartitionStatus
} from './lag/lag-types.ts'
export type { Arrivals } from './lag/topic-track.ts'

// Committed offsets.
export { filedOf, type ShownOffset, showOffsets } from './offsets/export-offsets.ts'
export {
  allConsumerGroups,
  type CommittedOffset,
  type GroupLook,
  isGroupThere,
  lookAtGroups,
  memberName,
  type OffsetsOpen,
  untilIdle
} from './offsets/group-look.ts'
export {
  isSameOffset,
  type LogEnds,
  type OffsetMove,
  type ReadDifference,
  readDifference,
  type StoredOffset
} from './offsets/offset-move.ts'
export { csvOf, type FiledOffset, jsonOf, readOffsets } from './offsets/offsets-file.ts'
export { readPosition, readTopicScope, type TopicScope } from './offsets/partition-names.ts'
export {
  type CopyRequest,
  type DeleteOffsetsRequest,
  planCopy,
  planDeleteGroups,
  planDeleteOffsets
} from './offsets/plan-copy.ts'
export { type OffsetsScope, type PlaceRequest, planPlace, planReset, type ResetRequest } from './offsets/plan-reset.ts'
export { planSkip, type SkipRequest } from './offsets/plan-skip.ts'
export { type ResetFacts, type ResetOutcome, type ResetTo, resolveReset } from './offsets/reset-rules.ts'
export { type Read, readDuration, readTime } from './offsets/times.ts'

// Partitions.
export { planTopicPartitions, type TopicPlan, type TopicPlanRequest } from './partitions/collect-plan.ts'
export { type GrowRequest, planGrowth, type PlannedGrowth } from './partitions/grow.ts'
export { type KeyMovement, keyMovement, type MovedKey, movedShare, type SampledKey } from './partitions/key-movement.ts'
export { type MigrateRequest, planMigration } from './partitions/migrate.ts'
export { type BrokerLimit, brokerLimit, type ClusterProfile } from './partitions/msk-limits.ts'
export {
  judgeNeed,
  type NeedCriterion,
  type NeedFacts,
  type NeedVerdict,
  type PartitionLoad
} from './partitions/need.ts'
export {
  PAUSE_KIND,
  type PauseControl,
  type PauseRequest,
  type PauseView,
  planPause
} from './partitions/pause-partition.ts'
export {
  type ClusterFacts,
  divisorsOf,
  type PartitionCap,
  type PartitionFacts,
  type PartitionNeed,
  type PartitionPlan,
  planPartitions
} from './partitions/plan.ts'

// Records.
export { type Counting, countRecords, type RecordCount } from './records/count-records.ts'
export { getRecord, type GetRecordRequest } from './records/get-record.ts'
export { type LastRecords, type LastRecordsRequest, readLastRecords } from './records/last-records.ts'
export { printableBytes } from './records/printable.ts'
export { keptRecord, type ReadRecord, recordAt, timeText } from './records/read-record.ts'
export {
  type JsonRecord,
  jsonRecordOf,
  RECORD_FORMATS,
  type RecordFormat,
  recordFormat,
  type RecordFormatOptions
} from './records/record-format.ts'
export {
  compileQuery,
  type RecordMatcher,
  type RecordPart,
  type RecordQuery,
  type TextCondition
} from './records/record-query.ts'
export {
  offsetCountOf,
  type RangeAdmin,
  type RangeRequest,
  type RecordBound,
  type RecordRange,
  resolveRanges
} from './records/record-range.ts'
export { type ReadEnd, RecordReader, type RecordReaderOptions } from './records/record-reader.ts'

// Dead letters, sent again.
export { type RedriveAudit, redriveAuditFile, type RedriveAuditLine } from './redrive/audit-file.ts'
export { type DeadLetterFacts, type LetterOrigin, readDeadLetter, REDRIVE_HEADER } from './redrive/dead-letter.ts'
export { planRedrive, type RedriveChange, redriveGroup } from './redrive/plan-redrive.ts'
export { judgeLetter, type LetterVerdict, type RedriveRules, type StayReason } from './redrive/redrive-rules.ts'
export type { RedriveSample } from './redrive/redrive-survey.ts'
export { LETTERS_MAX, type RedriveOpen, type RedriveRequest } from './redrive/redrive-types.ts'

// Replay.
export { type OffsetsBefore, replayChange, type ReplayFacts } from './replay/replay-plan.ts'

// Review report.
export { type Block, renderHtml, renderMarkdown, type ReportFile } from './report/blocks.ts'
export { buildReport, isReportPart, REPORT_PARTS, type ReportPart } from './report/build-report.ts'
export { type ClusterFindings, gatherFindings, type GatherOptions } from './report/gather.ts'
export { type AnswerSource, type ReviewAnswer, reviewAnswers } from './report/questions.ts'
export { readExperiments } from './report/read-experiments.ts'
export type { ReportExperiment, ReportFacts, ReportFinding, ReportPartitionPlan } from './report/report-facts.ts'

// Rollout.
export { type AssignorQuestion, assignorWarnings } from './rollout/assignors.ts'
export {
  decideRollout,
  gatesOf,
  newRollout,
  resumeRollout,
  type RolloutAnswer,
  type RolloutRequest
} from './rollout/decide-rollout.ts'
export { RolloutSight, type RolloutSightOptions } from './rollout/observe-rollout.ts'
export { planRollout, readRollout, type RolloutPlanRequest } from './rollout/plan-rollout.ts'
export {
  DEFAULT_ROLLOUT_POLICY,
  type RolloutAction,
  type RolloutInstance,
  type RolloutObservation,
  type RolloutPhase,
  type RolloutPolicy,
  type RolloutState,
  type RolloutTarget
} from './rollout/rollout-types.ts'
export { type RolloutOptions, runRollout } from './rollout/rollout.ts'

// How many instances.
export { decide, type ScaleAnswer, type ScaleRequest, stepTaken } from './scale/decide.ts'
export { observationOf, type Sight } from './scale/observe.ts'
export {
  DEFAULT_SCALE_POLICY,
  EMPTY_SCALE_STATE,
  type ScaleAlternative,
  type ScaleDecision,
  type ScaleHold,
  type ScaleObservation,
  type ScalePartition,
  type ScalePolicy,
  type ScaleState,
  type ScaleStep,
  type StepVerdict,
  type TargetHealth
} from './scale/scale-types.ts'
export { type ScaleLook, Scaler, type ScalerOptions } from './scale/scaler.ts'
export { readScaleState } from './scale/state-file.ts'
export { readTargetPage, TargetWatch } from './scale/target-health.ts'

// Scan of a cluster.
export { scanCluster } from './scan/scan-cluster.ts'
export type {
  ClusterScan,
  ScannedGroup,
  ScannedOffset,
  ScannedPartition,
  ScannedTopic,
  ScanRequest
} from './scan/scan-types.ts'

// Simulator.
export {
  calibrate,
  calibratedSettings,
  type Calibration,
  type MeasuredRun,
  readMeasuredRun
} from './simulate/calibration.ts'
export { assumptionsOf, type PipelineAssumptions, scenarioOfPipeline } from './simulate/from-pipeline.ts'
export { INCIDENTS } from './simulate/incidents.ts'
export { simulate, simulateInTurns } from './simulate/simulate.ts'
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
export {
  type ComparedRun,
  compareScenarios,
  type ScenarioSettings,
  usualWhatIfs,
  withSettings
} from './simulate/what-if.ts'

// Objectives.
export type { TimeShare } from './slo/bucket-ring.ts'
export { BURN_RULES, burnRate, type BurnRule, type BurnVerdict, type Severity } from './slo/burn-rates.ts'
export { type ConditionInput, conditionsOf, HEALTH, type HealthThresholds } from './slo/conditions.ts'
export { objectiveName, type SloObjective, type SloSample } from './slo/objective.ts'
export { readSloState, writeSloState } from './slo/state-file.ts'
export { type SloState, type SloStatus, SloTracker, type SloTrackerOptions } from './slo/tracker.ts'
export { type SloWatchOptions, type WatchedLook, watchSlo } from './slo/watch.ts'

// Topics.
export {
  type DescribedPartition,
  describeTopic,
  listTopics,
  type TopicDescription,
  type TopicList,
  type TopicsOpen,
  type TopicSummary
} from './topics/look-at-topics.ts'
export { planTopicConfigs, type WantedConfigs } from './topics/plan-configs.ts'
export { type CreateTopicRequest, planCreateTopic } from './topics/plan-create.ts'
export { type DeleteRecordsRequest, planDeleteRecords } from './topics/plan-delete-records.ts'
export { planDeleteTopic, planRecreateTopic } from './topics/plan-delete.ts'
