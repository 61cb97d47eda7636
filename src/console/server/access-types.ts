/** What users may change, and what is hidden from them: plain data of the settings. */

/** Groups and topics that a user may change, as patterns; what is absent is not limited. */
export interface Rights {
  readonly groups?: readonly string[] | undefined
  readonly topics?: readonly string[] | undefined
}

/** What is hidden of the records of some topics. */
export interface MaskRule {
  readonly topics: readonly string[]
  readonly key: boolean
  readonly value: boolean
  /** All, or those of these names. */
  readonly headers: boolean | readonly string[]
  /** Members of JSON, `a.b`, `*` for any name, `**` for any depth. */
  readonly fields: readonly string[]
}
