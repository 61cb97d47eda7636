/** What is told of a drain. */

/** Whether a dispatcher has stopped with everything done that it had begun. */
export interface DrainReport {
  /**
   * Every batch that was at the target has been answered, and what was finished is committed: nothing that was
   * delivered is delivered again. Records that waited to be tried again stay with the group and count as not begun.
   */
  readonly isComplete: boolean
  /** Partitions of which a batch was cut off at the target, or whose last commit was not accepted. */
  readonly unfinishedPartitions: number
}
